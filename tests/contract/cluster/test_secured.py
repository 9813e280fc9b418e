"""A cluster whose nodes have names, TLS and a password: all of it comes from the address."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.certificates import Certificate, make_certificate
from tests.contract.cluster.lone import lone_nodes
from tests.contract.cluster.servers import quiet_port
from tests.contract.jobs.schedulers import Client, Worker, scheduler, submit, until
from voxpool.scheduler.errors import StoreUnavailable
from voxpool.scheduler.shared.partition import calls
from voxpool.scheduler.stores.cluster.job_stores import JobStores

FIND = calls.find(["0.x"])


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """It is valid for the name, and not for 127.0.0.1."""
    return make_certificate(tmp_path, subjects="DNS:localhost")


@pytest.fixture
def port(tmp_path: Path, certificate: Certificate) -> Iterator[int]:
    """The TLS port of a cluster of one node that calls itself localhost; its password is `secret`."""
    tls_port = quiet_port()
    files = ("--tls-cert-file", str(certificate.cert), "--tls-key-file", str(certificate.key))
    tls = ("--tls-port", str(tls_port), *files, "--tls-ca-cert-file", str(certificate.cert), "--tls-auth-clients", "no")
    names = ("--cluster-announce-hostname", "localhost", "--cluster-preferred-endpoint-type", "hostname")
    with lone_nodes(tmp_path, ("",), *tls, *names) as (server,):
        with Redis(port=server.port) as client:
            client.config_set("requirepass", "secret")
        yield tls_port


async def test_a_cluster_with_names_tls_and_a_password(port: int, certificate: Certificate) -> None:
    """All is reached by name, hints included; without the right password or name nothing is, and neither is shown."""
    url = f"rediss+cluster://:secret@localhost:{port}?ssl_ca_certs={certificate.cert}"
    client = Client()
    async with scheduler(url, "a") as a, scheduler(url, "b") as b:
        Worker(b)
        submit(a, client, 20)
        await until(lambda: len(client.ends) == 20)
    for login, host, reason in (("s3cr3t", "localhost", "WRONGPASS"), ("secret", "127.0.0.1", "certificate")):
        stores = JobStores(f"rediss+cluster://:{login}@{host}:{port}?ssl_ca_certs={certificate.cert}", 1)
        with pytest.raises(StoreUnavailable, match=reason) as refused:
            await stores.partitions[0].run([FIND])
        assert login not in str(refused.value)
        await stores.close()
