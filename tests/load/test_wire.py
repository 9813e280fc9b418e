"""One WebSocket of a user, against a server of `websockets` itself: frames, pings, closes, and failed handshakes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.sync.server import ServerConnection, serve

from voxpool.loadtest.users._wire import Closed, NotOpened, Wire
from voxpool.scheduler.errors import BadInput
from voxpool.scheduler.protocol.codec import to_client
from voxpool.scheduler.protocol.messages import Accepted, Hello, ToClient

PATIENCE_S = 10.0


@contextmanager
def server(handle: Callable[[ServerConnection], None]) -> Iterator[str]:
    """Run a server that calls `handle` for each connection; yield its URL."""
    with serve(handle, "127.0.0.1", 0, compression=None) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{running.socket.getsockname()[1]}/ws/session"
        finally:
            running.shutdown()
            thread.join()


@contextmanager
def opened(handle: Callable[[ServerConnection], None], binary: bool = False) -> Iterator[Wire[ToClient]]:
    with server(handle) as url:
        wire = Wire.open(url, to_client, binary=binary)
        try:
            yield wire
        finally:
            wire.abort()


@pytest.mark.parametrize("binary", [False, True])
def test_messages_are_exchanged_in_the_requested_encoding(binary: bool) -> None:
    received: list[str | bytes] = []

    def handle(connection: ServerConnection) -> None:
        received.append(connection.recv())
        connection.send('{"type": "accepted", "request_id": "r", "job_id": "j"}')

    with opened(handle, binary) as wire:
        sent = wire.send(Hello(session_id="s"))
        message = wire.receive(PATIENCE_S)
    assert message == Accepted("r", "j")
    assert isinstance(received[0], bytes) is binary
    assert len(received[0]) == sent < wire.bytes_out


def test_a_message_in_fragments_is_one() -> None:
    def handle(connection: ServerConnection) -> None:
        connection.send(iter([b'{"type": "accepted", ', b'"request_id": "r", ', b'"job_id": "j"}']), text=True)

    with opened(handle) as wire:
        assert wire.receive(PATIENCE_S) == Accepted("r", "j")


def test_pings_are_answered_during_reads_and_own_pings_are_measured() -> None:
    answered = threading.Event()

    def handle(connection: ServerConnection) -> None:
        if connection.ping().wait(PATIENCE_S):
            answered.set()
        connection.send("{}")
        connection.recv(PATIENCE_S)

    pongs: list[bytes] = []
    with opened(handle) as wire:
        wire.on_pong = pongs.append
        wire.ping(b"mine")
        with pytest.raises(BadInput):
            wire.receive(PATIENCE_S)
        assert answered.is_set()
        assert pongs == [b"mine"]


def test_a_read_without_a_message_times_out_and_the_connection_stays() -> None:
    def handle(connection: ServerConnection) -> None:
        connection.recv(PATIENCE_S)
        connection.send('{"type": "accepted", "request_id": "r", "job_id": "j"}')

    with opened(handle) as wire:
        with pytest.raises(TimeoutError):
            wire.receive(0.01)
        wire.send(Hello())
        assert wire.receive(PATIENCE_S) == Accepted("r", "j")


def test_a_close_of_the_other_end_is_reported_with_its_code() -> None:
    with opened(lambda connection: connection.close(1008, "no")) as wire, pytest.raises(Closed) as closed:
        wire.receive(PATIENCE_S)
    assert (closed.value.code, closed.value.reason) == (1008, "no")


def test_an_end_without_a_close_frame_is_1006() -> None:
    def handle(connection: ServerConnection) -> None:
        connection.socket.shutdown(socket.SHUT_RDWR)

    with opened(handle) as wire:
        with pytest.raises(Closed) as closed:
            wire.receive(PATIENCE_S)
        assert closed.value.code == 1006
        with pytest.raises(Closed):
            wire.send(Hello())


def test_its_close_frame_reaches_the_other_end() -> None:
    codes: list[int] = []
    done = threading.Event()

    def handle(connection: ServerConnection) -> None:
        try:
            connection.recv(PATIENCE_S)
        except ConnectionClosed as closed:
            codes.append(closed.rcvd.code if closed.rcvd else 0)
        done.set()

    with opened(handle) as wire:
        wire.close()
        assert done.wait(PATIENCE_S)
    assert codes == [1000]


def test_a_release_wakes_up_the_reader() -> None:
    with opened(lambda connection: connection.recv(PATIENCE_S)) as wire:  # type: ignore[arg-type]
        ended: list[int] = []

        def read() -> None:
            try:
                wire.receive()
            except Closed as closed:
                ended.append(closed.code)

        reader = threading.Thread(target=read)
        reader.start()
        wire.abort()
        reader.join(PATIENCE_S)
        assert ended == [1006]


def test_a_failed_handshake_is_reported(unused_port: int) -> None:
    """There is no server; a server of another protocol; a server that refuses."""
    with pytest.raises(NotOpened, match="refused"):
        Wire.open(f"ws://127.0.0.1:{unused_port}", to_client, binary=False)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.recv(100)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(NotOpened):
            Wire.open(f"ws://127.0.0.1:{listener.getsockname()[1]}", to_client, binary=False)
        thread.join()


def test_an_http_status_is_reported() -> None:
    with serve(
        lambda connection: None,
        "127.0.0.1",
        0,
        process_request=lambda connection, request: connection.respond(401, "no token"),
    ) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        with pytest.raises(NotOpened) as refused:
            Wire.open(f"ws://127.0.0.1:{running.socket.getsockname()[1]}", to_client, binary=False)
        running.shutdown()
        thread.join()
    assert refused.value.status == 401


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def test_data_after_the_handshake_answer_are_not_lost() -> None:
    """A message and a close frame arrive in the same piece; the connection was opened all the same."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            peer, _ = listener.accept()
            with peer:
                other = ServerProtocol()
                while not (asked := other.events_received()):
                    other.receive_data(peer.recv(65536))
                assert isinstance(asked[0], Request)
                other.send_response(other.accept(asked[0]))
                other.send_text(b'{"type": "accepted", "request_id": "r", "job_id": "j"}')
                other.send_close(4000, "enough")
                peer.sendall(b"".join(other.data_to_send()))
                peer.recv(65536)

        thread = threading.Thread(target=answer)
        thread.start()
        with closing(Wire.open(f"ws://127.0.0.1:{listener.getsockname()[1]}", to_client, binary=False)) as wire:
            assert wire.receive(PATIENCE_S) == Accepted("r", "j")
            with pytest.raises(Closed) as closed:
                wire.receive(PATIENCE_S)
        assert closed.value.code == 4000
        thread.join()
