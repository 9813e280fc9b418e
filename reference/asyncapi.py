"""docs/reference/asyncapi.json: the WebSocket protocol as an AsyncAPI 3 document, for tools that generate code."""

from __future__ import annotations

import json
from typing import Any, get_args

import msgspec

from reference.attribute_docs import field_texts
from reference.protocol import CHANNELS, NESTED, tag_of
from voxpool.scheduler import __version__
from voxpool.scheduler.protocol.messages import PROTOCOL

_REF = "#/components/schemas/{name}"
_PEERS = {"session": "client", "node": "worker node"}


def document() -> str:
    """Return the document as JSON."""
    operations = {}
    channels = {}
    messages = {}
    classes: list[type[msgspec.Struct]] = []
    for channel, (incoming, outgoing) in CHANNELS.items():
        own = []
        for union, action in ((incoming, "receive"), (outgoing, "send")):
            for cls in get_args(union):
                classes.append(cls)
                own.append(cls.__name__)
                messages[cls.__name__] = {
                    "name": tag_of(cls),
                    "summary": _line(cls.__doc__),
                    "payload": {"$ref": _REF.format(name=cls.__name__)},
                }
            operations[f"{channel}_{action}"] = {
                "action": action,
                "summary": f"What the scheduler {action}s over /ws/{channel}.",
                "channel": {"$ref": f"#/channels/{channel}"},
                "messages": [{"$ref": f"#/channels/{channel}/messages/{cls.__name__}"} for cls in get_args(union)],
            }
        channels[channel] = {
            "address": f"/ws/{channel}",
            "summary": f"The WebSocket of a {_PEERS[channel]}.",
            "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in dict.fromkeys(own)},
        }
    whole = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "voxpool",
            "version": __version__,
            "description": f"Protocol {PROTOCOL}. JSON in text frames, or the same objects as MessagePack in binary "
            "frames. The rules are in docs/protocol.md.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": _schemas(classes)},
    }
    return json.dumps(whole, indent=2).replace("\\\\Z", "$") + "\n"  # patterns as ECMA 262 has them


def _schemas(classes: list[type[msgspec.Struct]]) -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components(classes, ref_template=_REF)
    for cls in {*classes, *NESTED}:
        schema = schemas[cls.__name__]
        schema["description"] = _line(cls.__doc__)
        for name, text in field_texts(cls).items():
            schema["properties"][name]["description"] = text
    return schemas


def _line(text: str | None) -> str:
    return " ".join((text or "").split())
