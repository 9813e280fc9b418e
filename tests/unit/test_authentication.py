"""Changes of the token file at run time: connections that stay, connections that end, and invalid files."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import ssl
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.certificates import Certificate, make_certificate
from tests.unit.fakes import HandClock
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.security.authentication import AccessRefused, Authentication
from voxpool.scheduler.security.caller import Caller, Role
from voxpool.scheduler.security.secret_files import SecretFiles, is_of_this_machine
from voxpool.scheduler.security.tls import ServerTls
from voxpool.scheduler.security.tokens import Tokens, append_token, digest_of
from voxpool.scheduler.telemetry.logs.log import open_log
from voxpool.scheduler.web import problems
from voxpool.scheduler.web.gates.authorization import CLIENTS, Authorization, admit


def caller(name: str, role: Role = Role.CLIENT, rate_per_s: float | None = None) -> Caller:
    return Caller(name, role, rate_per_s, digest_of(f"{name}'s"))


ANN, BOB = caller("ann"), caller("bob")


def test_a_connection_ends_when_its_token_is_removed_or_changes_its_owner() -> None:
    authentication = Authentication(Tokens([ANN, BOB, caller("cyd"), caller("dan")]))
    ended: list[str] = []
    with contextlib.ExitStack() as stack:
        for number, who in enumerate((ANN, ANN, BOB, caller("cyd"), caller("dan"))):
            stack.enter_context(authentication.connection(who, partial(ended.append, f"{who.name}{number}")))
        faster, other_role = ANN._replace(rate_per_s=3.0), caller("cyd")._replace(role=Role.NODE)
        assert authentication.replace(Tokens([faster, other_role, caller("dan")._replace(name="d")])) == 3
        assert ended == ["bob2", "cyd3", "dan4"] and authentication.connections == 5
    assert authentication.connections == 0
    assert authentication.replace(Tokens([BOB])) == 0, "nothing is open"


def test_the_rates_are_those_of_the_current_file() -> None:
    """They are in one table, which the rate limit keeps."""
    authentication = Authentication(Tokens([ANN]))
    rates = authentication.own_rates
    assert rates == {}
    authentication.replace(Tokens([ANN._replace(rate_per_s=3.0), BOB]))
    assert rates == {ANN.digest: 3.0}
    authentication.replace(Tokens([ANN, BOB._replace(rate_per_s=1.0)]))
    assert rates == {BOB.digest: 1.0}
    assert Authentication().own_rates == {}


def test_a_token_removed_between_handshake_and_hello_is_rejected() -> None:
    """A connection is accepted by its first message, some seconds after the header was read."""
    authentication = Authentication(Tokens([ANN, BOB]))
    scope = {"state": {"authentication": authentication, "caller": ANN, "roles": CLIENTS}}
    assert admit(scope, None) == ANN
    authentication.replace(Tokens([BOB]))
    for token in (None, "ann's"):
        with pytest.raises(AccessRefused, match="a valid token"):
            admit(scope, token)
    assert admit(scope, "bob's") == BOB


@pytest.mark.parametrize("begun", [False, True])
async def test_a_request_ends_with_its_token(begun: bool) -> None:
    """A waiting request is answered with 401; a started answer ends."""
    authentication, inside, gate = Authentication(Tokens([ANN, BOB])), asyncio.Event(), asyncio.Event()

    async def stream() -> Any:
        yield b"some"
        inside.set()
        await gate.wait()
        yield b"more"

    async def door(request: Request) -> Response:
        if begun:
            return StreamingResponse(stream())
        inside.set()
        await gate.wait()
        return PlainTextResponse("some")

    app = Starlette(routes=[Route("/v1/jobs", door)], exception_handlers={AccessRefused: problems.on_access_refused})
    transport = httpx.ASGITransport(Authorization(app, authentication, Observer()))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        asked = asyncio.create_task(client.get("/v1/jobs", headers={"authorization": "Bearer ann's"}))
        await inside.wait()
        assert authentication.replace(Tokens([BOB])) == 1
        answer = await asked
    assert (answer.status_code, answer.text) == (200, "some") if begun else answer.json()["reason"] == "unauthorized"
    assert authentication.connections == 0


class Files:
    """Secret files in a folder, and the log about them."""

    def __init__(self, folder: Path, tls: Certificate | None = None) -> None:
        self.tokens = folder / "tokens.toml"
        append_token(self.tokens, ANN)
        self._stream = io.BytesIO()
        log = open_log(self._stream, HandClock())
        cert, key = (str(tls.cert), str(tls.key)) if tls else ("", "")
        self.read = SecretFiles(Settings(access_file=str(self.tokens), tls_cert=cert, tls_key=key), log)

    def reported(self) -> list[dict[str, Any]]:
        """Return the log lines since the last call, without their times."""
        lines = [json.loads(line) for line in self._stream.getvalue().splitlines()]
        self._stream.seek(0)
        self._stream.truncate()
        return [{key: value for key, value in line.items() if key != "ts"} for line in lines]


def test_a_reload_uses_the_current_file(tmp_path: Path) -> None:
    files = Files(tmp_path)
    append_token(files.tokens, BOB)
    assert files.read.authentication.caller("bob's") is None, "not before it is asked to"
    files.read.reload()
    assert files.read.authentication.caller("bob's") == BOB
    assert files.reported() == [{"level": "info", "event": "tokens_loaded", "tokens": 2, "closed": 0}]


@pytest.mark.parametrize("text", ["", "nonsense", None])
def test_an_invalid_file_changes_nothing_and_is_logged(tmp_path: Path, text: str | None) -> None:
    files = Files(tmp_path)
    ended: list[str] = []
    with files.read.authentication.connection(ANN, lambda: ended.append("ann")):
        files.tokens.unlink() if text is None else files.tokens.write_text(text)
        files.read.reload()
    assert files.read.authentication.caller("ann's") == ANN and ended == []
    [line] = files.reported()
    assert (line["level"], line["event"]) == ("error", "reload_failed") and str(files.tokens) in line["error"]


def test_a_certificate_is_renewed_and_an_invalid_one_is_not_used(tmp_path: Path) -> None:
    first = make_certificate(tmp_path, "first")
    files = Files(tmp_path, first)
    tls = files.read.tls
    assert tls is not None and common_name(tls) == "first"
    other = make_certificate(tmp_path, "other")
    key = first.key.read_text()
    for broken in ("", "nonsense", other.key.read_text()):
        first.key.write_text(broken)
        files.read.reload()
        assert [line["event"] for line in files.reported()] == ["tokens_loaded", "reload_failed"]
        assert common_name(tls) == "first"
    first.key.write_text(other.key.read_text())
    first.cert.write_text(other.cert.read_text())
    files.read.reload()
    assert [line["event"] for line in files.reported()] == ["tokens_loaded", "certificate_loaded"]
    assert common_name(tls) == "other" and key not in str(files.reported())


def common_name(tls: ServerTls) -> str:
    """Do a TLS handshake in memory and return the common name of the server."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    server = tls.context.wrap_bio(to_server, to_client, server_side=True)
    client = trusting.wrap_bio(to_client, to_server)
    for _ in range(3):
        for side in (client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    certificate = client.getpeercert(binary_form=True)
    assert certificate is not None
    return next(name for name in ("first", "other") if name.encode() in certificate)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("cert gone", "c.pem: can't be opened: No such file"),
        ("key gone", "k.pem: can't be opened: No such file"),
        ("key open", "k.pem: by its mode 0644 others can read or change it; run chmod 600"),
        ("no cert", "no certificate with its key"),
        ("no key", "no certificate with its key"),
        ("swapped", "no certificate with its key"),
        ("wrong key", "no certificate with its key: KEY_VALUES_MISMATCH"),
    ],
)
def test_an_invalid_certificate_is_reported_in_one_line(tmp_path: Path, what: str, message: str) -> None:
    made, other = make_certificate(tmp_path), make_certificate(tmp_path, "other")
    cert, key = tmp_path / "c.pem", tmp_path / "k.pem"
    cert.write_text(made.cert.read_text())
    key.touch(0o600)
    key.write_text(made.key.read_text())
    if what.endswith("gone"):
        (cert if what.startswith("cert") else key).unlink()
    elif what == "key open":
        key.chmod(0o644)
    elif what.startswith("no"):
        (cert if what.endswith("cert") else key).write_text("")
    elif what == "swapped":
        cert.write_text(made.key.read_text())
    else:
        key.write_text(other.key.read_text())
    with pytest.raises(ConfigError) as wrong:
        ServerTls(cert, key)
    assert message in str(wrong.value) and "\n" not in str(wrong.value) and "PRIVATE" not in str(wrong.value)


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("::ffff:10.0.0.1", False),
        ("fe80::1%eth0", False),
    ],
)
def test_addresses_that_other_machines_reach(address: str, own: bool) -> None:
    assert is_of_this_machine(address) is own


@pytest.mark.parametrize(
    ("address", "with_tokens", "with_tls", "events"),
    [
        ("127.0.0.1", False, False, []),
        ("0.0.0.0", False, False, ["open_to_all", "not_encrypted"]),
        ("0.0.0.0", True, False, ["not_encrypted"]),
        ("0.0.0.0", False, True, ["open_to_all"]),
        ("10.0.0.1", True, True, []),
    ],
)
def test_a_public_address_without_tokens_is_logged(
    tmp_path: Path, address: str, with_tokens: bool, with_tls: bool, events: list[str]
) -> None:
    """With --log-level error, too."""
    made = make_certificate(tmp_path)
    files = Files(tmp_path)
    stream = io.BytesIO()
    for level in ("warning", "error"):
        settings = Settings(
            access_file=str(files.tokens) if with_tokens else "",
            tls_cert=str(made.cert) if with_tls else "",
            tls_key=str(made.key) if with_tls else "",
        )
        SecretFiles(settings, open_log(stream, HandClock(), level)).warn(address, "http://x")
    reported = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in reported] == events + [event for event in events if event == "open_to_all"]
    assert {line["url"] for line in reported} <= {"http://x"}
