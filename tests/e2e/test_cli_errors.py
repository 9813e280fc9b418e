"""An error is one line with its cause and place; the exit code distinguishes wrong input from failures."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from tests.certificates import make_certificate
from tests.e2e.command_line import one_line, stranger, voxpool, voxpool_here
from tests.e2e.processes import Process, wait_until
from voxpool.scheduler import __version__

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"


def http(body: bytes, head: bytes = OK) -> bytes:
    return head + b"content-length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize(
    ("url", "code", "text"),
    [
        ("http://127.0.0.1:1", 1, "http://127.0.0.1:1: nothing listens there: start `voxpool serve`"),
        ("ws://127.0.0.1:1", 1, "http://127.0.0.1:1: nothing listens there"),
        ("http://no-such-host.invalid:5010", 1, "http://no-such-host.invalid:5010: there is no such host"),
        ("127.0.0.1:5010", 3, "'127.0.0.1:5010' is not the URL of a scheduler; write http://HOST:PORT"),
        ("ftp://127.0.0.1", 3, "'ftp://127.0.0.1' is not the URL of a scheduler"),
        ("http://127.0.0.1:70000", 3, "'http://127.0.0.1:70000' is not the URL"),
        ("http://[::1", 3, "'http://[::1' is not the URL"),
    ],
)
def test_no_scheduler_at_the_url(url: str, code: int, text: str) -> None:
    assert text in one_line(voxpool_here("nodes", "--url", url), code)


def test_the_same_as_a_process() -> None:
    assert "nothing listens there" in one_line(voxpool("nodes", "--url", "http://127.0.0.1:1"), 1)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (http(b"<html>hello</html>"), f"answers what no scheduler of version {__version__} does"),
        (http(b'{"nodes": 7, "next_cursor": null}'), "check URL and versions"),
        (http(b"nothing", b"HTTP/1.1 404 Not Found\r\n"), "answers 404 as no scheduler does: check host and port"),
        (http(b"", b"HTTP/1.1 302 Found\r\nlocation: /login\r\n"), "answers 302 as no scheduler does"),
        (b"220 mail.example ESMTP\r\n", "it does not speak HTTP there"),
        (b"", "it does not speak HTTP there (Remote end closed connection without response)"),
    ],
    ids=["a page", "another version", "a 404", "a proxy", "mail", "nothing"],
)
def test_something_else_at_the_url(answer: bytes, text: str) -> None:
    with stranger(answer) as port:
        line = one_line(voxpool_here("nodes", "--url", f"http://127.0.0.1:{port}"), 1)
    assert line.startswith(f"voxpool: http://127.0.0.1:{port}") and text in line


def test_an_explanation_of_another_version() -> None:
    with stranger(http(b'{"job": 7}')) as port:
        line = one_line(voxpool_here("why", "j-1", "--url", f"http://127.0.0.1:{port}"), 1)
    assert f"voxpool: the scheduler answers what version {__version__} can't read" in line


def test_tls_is_checked_and_a_ca_file_is_trusted(folder: Path) -> None:
    pem, key = make_certificate(folder, subjects="IP:127.0.0.1")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem, key)
    with stranger(http(b'{"nodes": [], "next_cursor": null}'), server) as port:
        at = ("nodes", "--url", f"https://127.0.0.1:{port}")
        line = one_line(voxpool_here(*at), 1)
        assert "its certificate is not trusted: self-signed certificate; give its CA file" in line
        for trusted in (voxpool_here(*at, "--ca-file", pem), voxpool_here(*at, VOXPOOL_CA_FILE=str(pem))):
            assert trusted.returncode == 0, trusted.stderr
        wrong_name = ("nodes", "--url", f"https://localhost:{port}", "--ca-file", pem)
        assert "is not trusted: Hostname mismatch" in one_line(voxpool_here(*wrong_name), 1)
        assert "give a PEM file" in one_line(voxpool_here(*at, "--ca-file", __file__), 3)


def test_tls_to_a_scheduler_without_it() -> None:
    with stranger(http(b"", b"HTTP/1.1 400 Bad Request\r\n")) as port:
        line = one_line(voxpool_here("nodes", "--url", f"https://127.0.0.1:{port}"), 1)
    assert "it does not speak TLS there: write http://" in line


def test_a_token_is_sent_and_a_rejected_one_is_reported(folder: Path) -> None:
    """The token comes from the option, from a file that it names, or from the environment."""
    seen: list[bytes] = []
    with stranger(http(b'{"nodes": [], "next_cursor": null}'), received=seen) as port:
        url = f"http://127.0.0.1:{port}"
        (folder / "secret").write_text("vxp_three\n")
        voxpool_here("nodes", "--url", url, "--token", "vxp_one", VOXPOOL_TOKEN="vxp_other")
        voxpool_here("nodes", "--url", url, VOXPOOL_TOKEN="vxp_two")
        voxpool_here("nodes", "--url", url, "--token", f"@{folder}/secret")
        voxpool_here("nodes", "--url", url)
    assert [_bearer(request) for request in seen] == ["vxp_one", "vxp_two", "vxp_three", None]
    problem = (
        b'{"type":"t","title":"t","status":401,"detail":"this needs a token","reason":"unauthorized","retryable":false}'
    )
    with stranger(http(problem, b"HTTP/1.1 401 Unauthorized\r\n")) as port:
        line = one_line(voxpool_here("nodes", "--url", f"http://127.0.0.1:{port}"), 1)
    assert line.startswith("voxpool: unauthorized: this needs a token; give a token of the right role as")


def _bearer(request: bytes) -> str | None:
    lines = [line.decode() for line in request.splitlines() if line.lower().startswith(b"authorization: bearer ")]
    return lines[0].split()[-1] if lines else None


@pytest.mark.parametrize(
    ("token", "text"),
    [
        ("two words", "--token: has blanks or letters that no token has"),
        ("@/no/such/file", "--token @/no/such/file: can't be read: No such file"),
        ("@/dev/null", "--token @/dev/null: is empty"),
    ],
)
def test_a_malformed_token_is_reported(token: str, text: str) -> None:
    assert text in one_line(voxpool_here("nodes", "--token", token), 3)


def test_a_node_that_can_never_connect_ends() -> None:
    """A node that may be able to connect later keeps trying."""
    line = one_line(voxpool("node", "--url", "nonsense", "--id", "n", "--pairs", "en:en"), 3)
    assert "'nonsense' is not the URL of a scheduler" in line


def test_a_node_keeps_trying_and_logs_the_reason(folder: Path) -> None:
    """Errors of a WebSocket are wrapped differently; the message is the same."""
    node = Process(folder, "node", "node", "--url", "http://127.0.0.1:1", "--id", "n", "--pairs", "en:en")
    message = "can't reach ws://127.0.0.1:1/ws/node: nothing listens there: start `voxpool serve`"
    wait_until(lambda: [line for line in node.events("worker") if message in line["message"]])
    assert node.stop() == 0
