"""Messages as frames: both encodings are equivalent, and unreadable data raise BadInput, never another exception."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxpool.scheduler.errors import BadInput
from voxpool.scheduler.protocol import codec
from voxpool.scheduler.protocol.field_types import Times
from voxpool.scheduler.protocol.messages import (
    Assign,
    Heartbeat,
    JobResult,
    NodeResult,
    Register,
    Submit,
    WorkError,
)

MESSAGES: list[tuple[Any, Any]] = [
    (codec.from_client, Submit("r-1", "zh:en", b"\x00\xff audio", timeout_ms=5)),
    (
        codec.to_client,
        JobResult("j", "r", "completed", 2, Times(1, 2, 3), output={"text": "你好", "n": [1, 2.5, None]}),
    ),
    (codec.from_node, Register("n", "p", ["zh:en", "en:zh"], 3, [("j-1", 2)])),
    (codec.from_node, Heartbeat([("j-1", 2)], load=0.5)),
    (codec.from_node, NodeResult("j", 1, error=WorkError("bad_audio"))),
    (codec.to_node, Assign("j", 1, "zh:en", b"audio", 60_000, session_id="s")),
]


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(("one_way", "message"), MESSAGES)
def test_encoding_and_decoding_are_inverse(one_way: codec.Codec[Any], message: Any, binary: bool) -> None:
    assert one_way.decode(codec.encode(message, binary), binary) == message


def test_unknown_fields_are_ignored_and_unknown_types_are_not() -> None:
    newer = b'{"type": "cancel", "job_id": "j", "because": {"of": ["you"]}}'
    assert codec.from_client.decode(newer, False).__class__.__name__ == "CancelJob"
    with pytest.raises(BadInput, match="known types here: ack, cancel, hello, submit") as unknown:
        codec.from_client.decode(b'{"type": "sing"}', False)
    assert unknown.value.reason == "unknown_type"


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_a_message_or_a_bad_input(frame: bytes, binary: bool) -> None:
    for one_way in (codec.from_client, codec.from_node):
        try:
            one_way.decode(frame, binary)
        except BadInput as error:
            assert error.reason and error.detail
    codec.request_id_of(frame, binary)


texts = st.text("ab:音-1", max_size=5)  # the complete Unicode range takes seconds to set up
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


@given(
    st.dictionaries(
        st.sampled_from(["type", "request_id", "pair", "audio", "job_id", "attempt", "output"]), json_values
    )
)
def test_any_map_is_a_message_or_a_bad_input(fields: dict[str, Any]) -> None:
    """MessagePack can express values that JSON can't, so a node's output is checked before it is sent to a client."""
    for kind in ("submit", "cancel", "hello", "register", "result"):
        try:
            frame = msgspec.msgpack.encode({**fields, "type": kind})
        except OverflowError:
            continue
        for one_way in (codec.from_client, codec.from_node):
            try:
                message = one_way.decode(frame, True)
                if isinstance(message, NodeResult):
                    codec.check_output(message.output, 10_000)
                    codec.encode(message, binary=False)
            except BadInput as error:
                assert error.reason and error.detail


def test_the_request_id_of_an_invalid_submit_is_found() -> None:
    frame = b'{"type": "submit", "request_id": "r-7", "pair": 3}'
    assert codec.request_id_of(frame, False) == "r-7"
    assert codec.request_id_of(b'{"type": "cancel", "request_id": "r-7"}', False) is None
    assert codec.request_id_of(b'{"type": "submit", "request_id": "not an id"}', False) is None


def nested(levels: int) -> Any:
    """Return a list in a list in a list."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ({(1, 2): 3}, "bad_output"),
        (2**70, "bad_output"),
        (nested(100_000), "bad_output"),
        ("x" * 11_000, "output_too_large"),
        ("音" * 4_000, "output_too_large"),
    ],
)
def test_an_output_must_fit_both_kinds_of_frames(output: Any, reason: str) -> None:
    with pytest.raises(BadInput) as bad:
        codec.check_output(output, 10_000)
    assert bad.value.reason == reason


def test_a_normal_output_passes() -> None:
    codec.check_output({"text": "你好", "times": [0.1, None], "deep": nested(50)}, 10_000)
