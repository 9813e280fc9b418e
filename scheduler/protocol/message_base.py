"""The bases of the messages: how they are tagged, and how those with a token are shown."""

from __future__ import annotations

import msgspec


class Message(msgspec.Struct, tag_field="type", tag=str.lower, omit_defaults=True):
    """Base of all messages: the tag is the class's name in lower case."""


class Greeting(Message):
    """Base of the messages that may carry a token: it is left out wherever they are shown."""

    def __repr__(self) -> str:
        shown = [f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name != "token"]
        return f"{type(self).__name__}({', '.join(shown)})"
