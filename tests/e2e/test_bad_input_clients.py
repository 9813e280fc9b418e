"""Invalid input over the WebSocket of clients: each message gets a typed answer, and the jobs in flight continue."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.e2e.conftest import GoodFlow
from tests.e2e.processes import TONE, Scheduler, connected

MB = 1_000_000


def text(**fields: Any) -> str:
    """Encode a message as JSON, bytes as base64."""
    return json.dumps({key: base64.b64encode(v).decode() if isinstance(v, bytes) else v for key, v in fields.items()})


def binary(**fields: Any) -> bytes:
    """Encode a message as MessagePack."""
    return msgspec.msgpack.encode(fields)


@pytest.fixture
async def socket(scheduler: Scheduler) -> AsyncIterator[ClientConnection]:
    """A client that has sent hello in JSON."""
    async with connected(scheduler.session_url) as connection:
        await connection.send(text(type="hello"))
        assert json.loads(await connection.recv())["type"] == "welcome"
        yield connection


async def answer(socket: ClientConnection) -> dict[str, Any]:
    """Return the next message, which is JSON like the hello."""
    frame = await socket.recv()
    assert isinstance(frame, str)
    message: dict[str, Any] = json.loads(frame)
    return message


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"audio": b""}, "empty_audio"),
        ({"audio": b"no audio at all"}, "not_audio"),
        ({"audio": TONE + b"\x00" * MB}, "audio_too_large"),
        ({"pair": "zh-en"}, "bad_pair"),
        ({"pair": 7}, "bad_pair"),
        ({"audio": 3.5}, "bad_audio"),
        ({"timeout_ms": 0}, "bad_timeout_ms"),
    ],
)
@pytest.mark.parametrize("encode", [text, binary])
async def test_an_invalid_submit_is_rejected_by_its_request_id(
    socket: ClientConnection, good_flow: GoodFlow, fields: dict[str, Any], reason: str, encode: Any
) -> None:
    await socket.send(
        encode(**{"type": "submit", "request_id": "wrong", "pair": good_flow.pair, "audio": TONE} | fields)
    )
    message = await answer(socket)
    assert (message["type"], message["request_id"], message["reason"]) == ("rejected", "wrong", reason)
    assert message["detail"] and "retry_after_ms" not in message


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (text(type="sing"), "unknown_type"),
        (text(request_id="a"), "unknown_type"),
        (binary(type="sing"), "unknown_type"),
        ('{"type": "submit", "request_id": ', "broken_json"),
        ("", "broken_json"),
        pytest.param('{"type": "hello", "deep": ' + "[" * 100_000, "broken_json", id="deep"),
        (b"\xc1\xc1\xc1", "broken_messagepack"),
        (binary(type="cancel", job_id="x")[:-3], "broken_messagepack"),
        (b"", "broken_messagepack"),
        ("[1, 2]", "bad_message"),
        (text(type="cancel", job_id="not/an/id"), "bad_job_id"),
        (text(type="cancel", job_id="nobody-knows-it"), "unknown_job"),
        (text(type="hello"), "hello_twice"),
    ],
)
async def test_other_invalid_messages_are_answered_and_the_connection_stays(
    socket: ClientConnection, good_flow: GoodFlow, frame: str | bytes, reason: str
) -> None:
    await socket.send(frame)
    message = await answer(socket)
    assert (message["type"], message["reason"]) == ("error", reason)
    assert message["detail"]
    await socket.send(text(type="submit", request_id=f"right-{good_flow.name}", pair=good_flow.pair, audio=TONE))
    assert (await answer(socket))["type"] == "accepted"


async def test_a_frame_of_100_mb_is_refused_with_1009(socket: ClientConnection, good_flow: GoodFlow) -> None:
    with pytest.raises(ConnectionClosed) as closed:
        await socket.send(b"\x00" * (100 * MB))
        await socket.recv()
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009


async def test_a_fragmented_message_has_the_same_bound(socket: ClientConnection, good_flow: GoodFlow) -> None:
    with pytest.raises(ConnectionClosed) as closed:
        await socket.send(b"\x00" * MB for _ in range(100))
        await socket.recv()
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009


async def test_a_peer_that_sends_only_invalid_messages_is_closed(socket: ClientConnection, good_flow: GoodFlow) -> None:
    with pytest.raises(ConnectionClosed) as closed:
        for _ in range(100):
            await socket.send("nonsense")
            await socket.recv()
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1008


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (text(type="submit", request_id="a", pair="a:b", audio=TONE), "hello_first"),
        (text(type="hello", protocol=99), "bad_protocol"),
        (text(type="hello", session_id="two words"), "bad_session_id"),
        ("nonsense", "broken_json"),
    ],
)
async def test_a_client_with_an_invalid_hello_gets_an_error_and_is_closed(
    scheduler: Scheduler, good_flow: GoodFlow, frame: str, reason: str
) -> None:
    async with connected(scheduler.session_url) as connection:
        await connection.send(frame)
        assert (await answer(connection))["reason"] == reason
        with pytest.raises(ConnectionClosed) as closed:
            await connection.recv()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1008


async def test_unknown_fields_are_ignored(socket: ClientConnection, good_flow: GoodFlow) -> None:
    """Peers of different versions work together."""
    await socket.send(
        text(
            type="submit",
            request_id=f"newer-{good_flow.name}",
            pair=good_flow.pair,
            audio=TONE,
            mood="cheerful",
            deep={"a": [1]},
        )
    )
    assert (await answer(socket))["type"] == "accepted"
