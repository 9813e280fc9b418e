"""TLS by file: https and wss from the SDK, a renewed certificate, and a large message through an encrypted socket."""

from __future__ import annotations

import asyncio
import hashlib
import socket as sockets
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.certificates import Certificate, make_certificate
from tests.e2e.command_line import COMMAND, Ran, clean_environment, voxpool
from tests.e2e.conftest import running
from tests.e2e.processes import EXAMPLES, PATIENCE_S, TONE, connected, until, wait_until
from tests.e2e.secured import Keys, Secured, next_message
from tests.e2e.test_bad_input_clients import text
from tests.e2e.test_processes import started
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.sdk import Client, SchedulerUnreachable, Work, Worker
from voxpool.scheduler.sdk.http import HttpClient

PAIR = "en:en"
LARGE = TONE + bytes(range(256)) * 4 * 8 * 1024  # 8 MiB


@pytest.fixture
def certificate(folder: Path) -> Certificate:
    return make_certificate(folder)


@pytest.fixture
def encrypted(folder: Path, certificate: Certificate) -> Iterator[Secured]:
    """A scheduler with tokens and TLS."""
    trusting = ssl.create_default_context(cafile=certificate.cert)
    flags = ("--tls-cert", str(certificate.cert), "--tls-key", str(certificate.key))
    with started(Secured(folder, Keys(folder), *flags, verify=trusting)) as scheduler:
        yield scheduler
    assert scheduler.events("http_server") == []
    assert b"PRIVATE" not in scheduler.log.read_bytes()


async def test_the_sdk_uses_tls_and_checks_certificates(encrypted: Secured, certificate: Certificate) -> None:
    """Over https:// and wss://, for names that the certificate has; a job of 8 MiB goes both ways."""
    assert encrypted.url.startswith("https://127.0.0.1:")
    keys, ca_file = encrypted.keys.secrets, certificate.cert

    async def work(work: Work) -> str:
        return hashlib.sha256(work.audio).hexdigest()

    worker = Worker(
        encrypted.url.replace("https", "wss"), node_id="n", pairs=[PAIR], work=work, token=keys["gpu"], ca_file=ca_file
    )
    async with running(worker), Client(encrypted.url, token=keys["ann"], ca_file=ca_file) as client:
        await until(lambda: encrypted.node_ids() == ["n"])
        assert (await client.submit(LARGE, PAIR)).output == hashlib.sha256(LARGE).hexdigest()
        by_name = f"https://localhost:{encrypted.port}"
        with HttpClient(by_name, token=keys["ann"], ca_file=ca_file) as http:
            job = await asyncio.to_thread(http.submit, TONE, PAIR, wait_s=10)
        assert job.output == hashlib.sha256(TONE).hexdigest()
    async with Client(encrypted.url, token=keys["ann"], give_up_s=0) as client:
        with pytest.raises(SchedulerUnreachable, match="self-signed certificate"):
            await client.submit(TONE, PAIR)
    with HttpClient(encrypted.url, token=keys["ann"]) as http, pytest.raises(SchedulerUnreachable, match="self-signed"):
        http.submit(TONE, PAIR)
    with pytest.raises(ConfigError, match="give a PEM file"):
        Client(encrypted.url, ca_file=certificate.key)


def test_the_commands_send_their_token_over_https(encrypted: Secured, certificate: Certificate) -> None:
    """Each with the token of its role; with another one the error says what to do, without the token."""
    keys, tone = encrypted.keys.secrets, EXAMPLES / "tone.wav"
    where = {"VOXPOOL_URL": encrypted.url, "VOXPOOL_CA_FILE": str(certificate.cert)}

    def run(who: str, *arguments: str | Path) -> Ran:
        return voxpool(*arguments, **where, VOXPOOL_TOKEN=keys[who])

    command = [*COMMAND, "node", "--id", "cli", "--pairs", PAIR, "--engine", "sleep:0"]
    node = subprocess.Popen(command, env=clean_environment(**where, VOXPOOL_TOKEN=keys["gpu"]), stderr=subprocess.PIPE)
    try:
        wait_until(lambda: encrypted.node_ids() == ["cli"])
        submitted = run("ann", "submit", "--pair", PAIR, "--wait", tone)
        assert submitted.returncode == 0 and "completed" in submitted.stdout, submitted.stderr
        listed = run("root", "nodes")
        assert listed.returncode == 0 and "cli" in listed.stdout
        refused = run("ann", "nodes")
        assert refused.returncode == 1 and "voxpool token" in refused.stderr
        message = submitted.stdout + submitted.stderr + listed.stdout + refused.stderr
        assert encrypted.keys.shown_in(message.encode()) == []
    finally:
        node.terminate()
        _, told_by_node = node.communicate(timeout=PATIENCE_S)
    assert node.returncode == 0 and encrypted.keys.shown_in(told_by_node) == []


def test_plain_connections_and_old_tls_versions_are_refused(encrypted: Secured) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(encrypted.url.replace("https", "http"), trust_env=False)
    old = ssl.create_default_context()
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    address = ("127.0.0.1", encrypted.port)
    with sockets.create_connection(address) as connection, old.wrap_socket(connection) as opened:
        assert opened.version() == "TLSv1.2"
    with pytest.warns(DeprecationWarning):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with sockets.create_connection(address) as connection, pytest.raises(ssl.SSLError):
        old.wrap_socket(connection)


async def test_a_renewed_certificate_is_used_for_new_connections_only(
    encrypted: Secured, certificate: Certificate, folder: Path
) -> None:
    trusting = ssl.create_default_context(cafile=certificate.cert)
    async with connected(encrypted.session_url, ssl=trusting, additional_headers=encrypted.keys.header("ann")) as ann:
        await ann.send(text(type="hello"))
        assert (await next_message(ann))["type"] == "welcome"
        first = ssl.get_server_certificate(("127.0.0.1", encrypted.port))
        assert first.split() == certificate.cert.read_text().split()
        kept = certificate.key.read_bytes()
        renewed = make_certificate(folder)
        certificate.key.write_bytes(kept)
        failed = await asyncio.to_thread(encrypted.hang_up, "reload_failed")
        assert "KEY_VALUES_MISMATCH" in failed["error"]
        assert ssl.get_server_certificate(("127.0.0.1", encrypted.port)) == first
        renewed = make_certificate(folder)
        await asyncio.to_thread(encrypted.hang_up, "certificate_loaded")
        second = ssl.get_server_certificate(("127.0.0.1", encrypted.port))
        assert second.split() == renewed.cert.read_text().split() != first.split()
        await ann.send(text(type="submit", request_id="r", pair="a:b", audio=TONE))
        assert (await next_message(ann))["type"] == "accepted"


async def test_a_peer_that_reads_nothing_is_closed_with_tls_too(folder: Path, certificate: Certificate) -> None:
    """Encrypted bytes wait in a different buffer, to which the limit must apply, too."""
    trusting = ssl.create_default_context(cafile=certificate.cert)
    flags = ("--tls-cert", str(certificate.cert), "--tls-key", str(certificate.key), "--send-stall-s", "0.5")
    with started(Secured(folder, Keys(folder), *flags, verify=trusting)) as scheduler:
        header = scheduler.keys.header("gpu")
        async with connected(scheduler.node_url, ssl=trusting, additional_headers=header, max_queue=1) as deaf:
            about = {"node_id": "deaf", "process_id": "p", "pairs": ["a:b"], "slots": 8, "running": []}
            await deaf.send(text(type="register", **about))
            assert (await next_message(deaf))["type"] == "registered"
            deaf.transport.pause_reading()
            headers = scheduler.keys.header("ann")
            async with httpx.AsyncClient(base_url=scheduler.url, verify=trusting, headers=headers) as http:
                for _ in range(4):
                    assert (await http.post("/v1/jobs", params={"pair": "a:b"}, content=LARGE)).status_code == 202
            cut_off = await until(lambda: scheduler.events("peer_aborted"))
            assert cut_off[0]["reason"] == "takes_nothing"
            await until(lambda: scheduler.events("node_offline"))
            deaf.transport.abort()


class Impatient(Secured):
    """A scheduler with a short timeout for handshakes."""

    program = (
        sys.executable,
        "-c",
        "from voxpool.scheduler import cli\nfrom voxpool.scheduler.web.wire import connections\n"
        "connections.HANDSHAKE_S = 1.5\ncli.main()",
    )


def test_a_connection_without_a_handshake_is_closed(folder: Path, certificate: Certificate) -> None:
    """Before its handshake a connection is in no bounded table."""
    trusting = ssl.create_default_context(cafile=certificate.cert)
    flags = ("--tls-cert", str(certificate.cert), "--tls-key", str(certificate.key))
    with started(Impatient(folder, Keys(folder), *flags, verify=trusting)) as scheduler:
        with sockets.create_connection(("127.0.0.1", scheduler.port), timeout=PATIENCE_S) as idle:
            assert idle.recv(1) == b""
        assert scheduler.get("/readyz") == {"status": "ready"}
