"""With a token file every caller needs a token, and each token has a role."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler
from tests.servers import BOTH, place_of
from voxpool import Client, HttpClient, RequestRefused, TokenRefused, Worker

PAIR = "zh:en"


class Secured(NamedTuple):
    """A scheduler with tokens of two clients, a node and an admin."""

    url: str
    ann: str
    bob: str
    gpu: str
    root: str


@pytest.fixture(scope="module", params=BOTH)
def secured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """`voxpool token` prints a token once and keeps only its hash in the file."""
    folder = tmp_path_factory.mktemp("secured")
    file = folder / "tokens.toml"
    roles = {"ann": "client", "bob": "client", "gpu": "node", "root": "admin"}
    tokens = {name: made(name, role, file) for name, role in roles.items()}
    with place_of(request.param) as place:
        scheduler = Scheduler(folder, *place, "--access-file", str(file), patience_s=60)
        yield Secured(scheduler.url, **tokens)
        assert scheduler.stop() == 0


def made(name: str, role: str, file: Path, *rights: str) -> str:
    command = (
        sys.executable,
        "-m",
        "voxpool.scheduler",
        "token",
        name,
        "--role",
        role,
        "--access-file",
        str(file),
        *rights,
    )
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


async def test_a_caller_without_a_token_is_rejected(secured: Secured) -> None:
    """The error says what to do; a retry without a token would not help."""
    async with Client(secured.url, token="") as client:
        with pytest.raises(TokenRefused, match="voxpool token") as refused:
            await client.submit(TONE, PAIR)
    assert (refused.value.reason, refused.value.retryable) == ("unauthorized", False)


async def test_a_client_submits_and_a_node_works(secured: Secured) -> None:
    node = Worker(secured.url, token=secured.gpu, node_id="gpu-1", pairs=[PAIR], work=lambda work: "done")
    async with running(node), Client(secured.url, token=secured.ann) as client:
        assert (await client.submit(TONE, PAIR)).output == "done"


async def test_a_role_has_one_purpose(secured: Secured) -> None:
    """A client's token can't register a node, and a node's token can't submit."""
    node = Worker(secured.url, token=secured.ann, node_id="gpu-2", pairs=[PAIR], work=lambda work: "done")
    with pytest.raises(TokenRefused, match="forbidden"):
        await node.run()
    async with Client(secured.url, token=secured.gpu) as client:
        with pytest.raises(TokenRefused, match="forbidden"):
            await client.submit(TONE, PAIR)


def test_a_client_sees_its_own_jobs_only_and_an_admin_all(secured: Secured) -> None:
    with HttpClient(secured.url, token=secured.ann) as ann, HttpClient(secured.url, token=secured.bob) as bob:
        job = ann.submit(TONE, "nobody:serves")
        assert job.job_id in [each.job_id for each in ann.jobs(100)]
        assert job.job_id not in [each.job_id for each in bob.jobs(100)]
        for ask in (bob.job, bob.cancel):
            with pytest.raises((TokenRefused, RequestRefused), match="forbidden"):
                ask(job.job_id)
    with HttpClient(secured.url, token=secured.root) as root:
        assert root.cancel(job.job_id).state == "cancelled"
