"""HttpClient with servers and proxies that disconnect, stall, trickle, refuse early, or never stop."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.sdk import SubmitRejected
from voxpool.scheduler.sdk.errors import SchedulerUnreachable
from voxpool.scheduler.sdk.http import TRIES, HttpClient
from voxpool.scheduler.sdk.wire.http_connections import ANSWER_BYTES_MAX

STEP_S = 0.02
WELL = b'HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{"status":"ok"}'
TOO_LARGE = b'{"type":"t","title":"t","status":413,"detail":"no","reason":"audio_too_large","retryable":false}'


class Peer:
    """A connection of the client, as seen by its server."""

    def __init__(self, accepted: socket.socket, number: int, ended: threading.Event) -> None:
        self.socket = accepted
        self.number = number
        self._ended = ended

    def request(self) -> bytes:
        """Read the head of a request; b"" when the client has closed."""
        head = b""
        while b"\r\n\r\n" not in head and (more := self.socket.recv(1)):
            head += more
        return head

    def trickle(self, data: bytes) -> None:
        """Send a byte at a time until the client has closed."""
        while not self._ended.wait(STEP_S):
            self.socket.sendall(data)


@contextlib.contextmanager
def serving(serve: Callable[[Peer], None]) -> Iterator[tuple[str, list[Peer]]]:
    """A server that passes each connection to `serve`, then closes it; yields its URL and the connections so far."""
    peers: list[Peer] = []
    ended = threading.Event()
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def one(peer: Peer) -> None:
            with contextlib.suppress(OSError), peer.socket:
                serve(peer)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    peers.append(Peer(listener.accept()[0], len(peers), ended))
                    threads.append(threading.Thread(target=one, args=(peers[-1],)))
                    threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", peers
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
    for thread in (accepting, *threads):
        thread.join()


def test_a_connection_serves_many_requests() -> None:
    def serve(peer: Peer) -> None:
        while peer.request():
            peer.socket.sendall(WELL)

    with serving(serve) as (url, peers), HttpClient(url) as client:
        for _ in range(3):
            assert client.show("/readyz") == {"status": "ok"}
        assert len(peers) == 1


def test_a_connection_that_the_server_has_closed_is_not_used_again() -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.socket.sendall(WELL)

    with serving(serve) as (url, peers), HttpClient(url) as client:
        for number in range(1, 4):
            assert client.show("/readyz") == {"status": "ok"}
            assert len(peers) == number


def test_a_request_is_repeated_when_its_answer_was_incomplete() -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.socket.sendall(WELL if peer.number == TRIES - 1 else WELL[:-1])

    with serving(serve) as (url, peers), HttpClient(url) as client:
        assert client.show("/readyz") == {"status": "ok"}
        assert len(peers) == TRIES


def test_an_answer_that_is_always_incomplete_is_an_error() -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.socket.sendall(WELL.replace(b"15", b"16"))

    with (
        serving(serve) as (url, peers),
        HttpClient(url) as client,
        pytest.raises(SchedulerUnreachable, match="IncompleteRead"),
    ):
        client.show("/readyz")
    assert len(peers) == TRIES


@pytest.mark.parametrize(
    "begin", [b"", b"HTTP/1.1 200 OK\r\nx: ", WELL[:-15]], ids=["silent", "in the head", "in the body"]
)
def test_a_slow_or_stalling_server_costs_at_most_the_patience(begin: bytes) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.socket.sendall(begin)
        peer.trickle(b" " if begin else b"")

    with serving(serve) as (url, peers), HttpClient(url, patience_s=STEP_S * 3) as client:
        with pytest.raises(SchedulerUnreachable, match="no answer in time"):
            client.show("/readyz")
        assert len(peers) == TRIES


def test_an_early_refusal_of_a_large_body_is_the_answer() -> None:
    """The server answers after the head and closes while the audio is in flight."""

    def serve(peer: Peer) -> None:
        peer.request()
        peer.socket.sendall(
            b"HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(TOO_LARGE)
        )
        peer.socket.sendall(TOO_LARGE)

    with (
        serving(serve) as (url, peers),
        HttpClient(url) as client,
        pytest.raises(SubmitRejected, match="audio_too_large"),
    ):
        client.submit(bytes(20_000_000), "a:b")
    assert len(peers) <= TRIES, "a reset may overtake the answer; then it is sent again"


@pytest.mark.parametrize("length", [b"", b"content-length: 99999999999\r\n"], ids=["without end", "too long"])
def test_an_unbounded_answer_is_rejected(length: bytes) -> None:
    sent = 0

    def serve(peer: Peer) -> None:
        nonlocal sent
        peer.request()
        peer.socket.sendall(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n")
        while True:
            sent += peer.socket.send(bytes(1_000_000))

    with (
        serving(serve) as (url, _),
        HttpClient(url) as client,
        pytest.raises(SchedulerUnreachable, match="its answer has"),
    ):
        client.show("/readyz")
    assert sent < TRIES * (ANSWER_BYTES_MAX + 20_000_000)


def test_a_url_with_a_path_is_the_root_of_all_requests_and_one_with_a_password_is_refused() -> None:
    heads: list[bytes] = []

    def serve(peer: Peer) -> None:
        heads.append(peer.request())
        peer.socket.sendall(WELL)

    with serving(serve) as (url, _), HttpClient(url.replace("http", "ws") + "/speech/") as client:
        client.show("/readyz")
    assert heads[0].startswith(b"GET /speech/readyz HTTP/1.1\r\n")
    with pytest.raises(ConfigError, match="give a token") as refused:
        HttpClient("http://me:secret@127.0.0.1:5010")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("request_id", ["", "two words", "a\r\nx: y", "ä", "x" * 65])
def test_a_request_id_that_no_scheduler_accepts_is_not_sent(request_id: str) -> None:
    with HttpClient("http://127.0.0.1:1") as client, pytest.raises(SubmitRejected, match="bad_request_id"):
        client.submit(b"RIFF", "a:b", request_id=request_id)
