"""The messages of messages.py as frames: JSON in text frames (audio as base64), MessagePack in binary ones.

Both ends use it. It also checks what is passed on unread: audio and outputs. Unknown fields are ignored, so that
versions can be mixed; any other error becomes a BadInput that names the field and what is expected. Nothing here knows
sockets.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar, get_args

import msgspec

from voxpool.scheduler.errors import BadInput
from voxpool.scheduler.protocol import messages
from voxpool.scheduler.protocol.field_types import Name
from voxpool.scheduler.sentences import wrong

M = TypeVar("M")

Frame = bytes | bytearray

_json_encode = msgspec.json.Encoder().encode
_binary_encode = msgspec.msgpack.Encoder().encode
_SPARE_LEVELS = 100
WAV_HEAD_BYTES = 12
_HINTS = {
    "audio": "audio is base64 in JSON, bytes in MessagePack",
    "pairs": "a node has 1 to 256 pairs",
    "slots": "a node has 1 to 1000 slots",
}


def _no_extension(code: int, data: memoryview) -> Any:
    raise ValueError(f"extension type {code} has no meaning here")


class Codec(Generic[M]):
    """Decodes the messages of one direction, given as a union of message classes."""

    def __init__(self, union: Any) -> None:
        self._json: msgspec.json.Decoder[M] = msgspec.json.Decoder(union)
        self._binary: msgspec.msgpack.Decoder[M] = msgspec.msgpack.Decoder(union, ext_hook=_no_extension)
        self.types = sorted(str(cls.__struct_config__.tag) for cls in get_args(union))

    def decode(self, frame: Frame, binary: bool) -> M:
        """Return the message in `frame`: MessagePack when it is `binary`, else JSON.

        Raises BadInput: broken_json, broken_messagepack, unknown_type, or bad_<field> for a wrong value.
        """
        try:
            return self._binary.decode(frame) if binary else self._json.decode(frame)
        except (ValueError, RecursionError, OverflowError) as error:
            raise self._explain(error, binary) from None

    def _explain(self, error: Exception, binary: bool) -> BadInput:
        kind = "messagepack" if binary else "json"
        if not isinstance(error, msgspec.ValidationError):
            why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            expected = "binary frames are MessagePack maps" if binary else "text frames are JSON objects"
            return BadInput(f"broken_{kind}", f"{why}; {expected}")
        found = wrong(error)
        if found.field == "type":
            return BadInput("unknown_type", f"{found.sentence}; known types here: {', '.join(self.types)}")
        hint = _HINTS.get(found.field)
        sentence = found.sentence if found.where else f"the message {found.text}"
        return BadInput(f"bad_{found.field or 'message'}", f"{sentence}; {hint}" if hint else sentence)


from_client: Codec[messages.FromClient] = Codec(messages.FromClient)
to_client: Codec[messages.ToClient] = Codec(messages.ToClient)
from_node: Codec[messages.FromNode] = Codec(messages.FromNode)
to_node: Codec[messages.ToNode] = Codec(messages.ToNode)


def encode(message: msgspec.Struct, binary: bool) -> bytes:
    """Return `message` as MessagePack or as JSON in UTF-8."""
    return _binary_encode(message) if binary else _json_encode(message)


class _Envelope(msgspec.Struct):
    """The fields that can be read of a message whose other fields are wrong."""

    type: str = ""
    request_id: Name | None = None


_loose_json = msgspec.json.Decoder(_Envelope)
_loose_binary = msgspec.msgpack.Decoder(_Envelope)


def request_id_of(frame: Frame, binary: bool) -> str | None:
    """Return the request id of a submit that did not decode, for the answer to its sender."""
    try:
        envelope = _loose_binary.decode(frame) if binary else _loose_json.decode(frame)
    except (ValueError, RecursionError, OverflowError):
        return None
    return envelope.request_id if envelope.type == "submit" else None


def check_output(output: Any, bytes_max: int) -> None:
    """Check that a node's output can be sent to every client.

    Raises BadInput: bad_output when it can't be encoded in both JSON and MessagePack (such as a map with
    lists as keys, or an integer above 64 bits), output_too_large above `bytes_max` bytes of JSON.
    """
    try:
        size = len(_json_encode(output))
        if size > _SPARE_LEVELS:  # deep enough to fail later, inside a result, where the stack is deeper
            for _ in range(_SPARE_LEVELS):
                output = [output]
            _json_encode(output)
        _binary_encode(output)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise BadInput("bad_output", f"an output must fit into JSON and MessagePack: {why}") from None
    if size > bytes_max:
        detail = f"an output of {size} bytes of JSON is above output_bytes_max = {bytes_max}"
        raise BadInput("output_too_large", detail)


def check_audio(audio: bytes, bytes_max: int) -> None:
    """Make sure that `audio` can be a WAV of at most `bytes_max` bytes; the engine checks its contents.

    Raises BadInput: empty_audio, audio_too_large, not_audio.
    """
    if not audio:
        raise BadInput("empty_audio", "there is no audio; send a WAV file (RIFF/WAVE)")
    if len(audio) > bytes_max:
        detail = f"{len(audio)} bytes of audio are above audio_bytes_max = {bytes_max}; cut it into shorter pieces"
        raise BadInput("audio_too_large", detail)
    if len(audio) < WAV_HEAD_BYTES or audio[:4] != b"RIFF" or audio[8:WAV_HEAD_BYTES] != b"WAVE":
        raise BadInput("not_audio", "this is not a WAV file (RIFF/WAVE), the one kind of audio that is accepted")
