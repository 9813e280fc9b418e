"""docs/protocol.md: its examples are messages of the protocol, and its document for tools is complete."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

import msgspec
import pytest

from reference.asyncapi import document
from reference.attribute_docs import field_texts
from reference.pages import DOCS
from reference.protocol import CHANNELS, NESTED
from voxpool.scheduler.core.jobs.reasons import ENDS
from voxpool.scheduler.protocol import codec
from voxpool.scheduler.protocol.codec import Codec, check_audio

PAGE = (DOCS / "protocol.md").read_text()
EXAMPLES = [text.splitlines() for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
DIRECTIONS: dict[str, tuple[Codec[Any], Codec[Any]]] = {
    "session": (codec.from_client, codec.to_client),
    "node": (codec.from_node, codec.to_node),
}
MESSAGES = [cls for channel in CHANNELS.values() for union in channel for cls in get_args(union)]


def decoded(frame: str, directions: tuple[Codec[Any], Codec[Any]]) -> Any:
    """Decode the message in the direction in which its type exists."""
    kind = json.loads(frame)["type"]
    into, out = directions
    return (into if kind in into.types else out).decode(frame.encode(), binary=False)


@pytest.mark.parametrize(("channel", "frames"), list(zip(DIRECTIONS, EXAMPLES, strict=True)))
def test_an_example_has_messages_with_known_fields_only(channel: str, frames: list[str]) -> None:
    for frame in frames:
        message = decoded(frame, DIRECTIONS[channel])
        assert {field for field in json.loads(frame) if field != "type"} <= set(message.__struct_fields__)


def test_the_audio_of_the_examples_is_accepted() -> None:
    [submit] = [message for frame in EXAMPLES[0] if (message := json.loads(frame))["type"] == "submit"]
    check_audio(codec.from_client.decode(json.dumps(submit).encode(), binary=False).audio, 100)  # type: ignore[union-attr]


@pytest.mark.parametrize("cls", dict.fromkeys([*MESSAGES, *NESTED]), ids=lambda cls: cls.__name__)
def test_each_field_has_a_text(cls: type[msgspec.Struct]) -> None:
    assert set(field_texts(cls)) == set(cls.__struct_fields__)


def test_references_of_the_asyncapi_document_resolve() -> None:
    text = document()
    whole = json.loads(text)
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', text):
        found = whole
        for key in reference.split("/"):
            found = found[key]
    assert set(whole["components"]["messages"]) == {cls.__name__ for cls in MESSAGES}


def test_the_reasons_of_ends_that_the_page_explains_are_those_of_the_scheduler() -> None:
    section = PAGE.partition("### Why a job does not complete\n")[2].partition("\n### ")[0]
    assert set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE)) == set(ENDS)
