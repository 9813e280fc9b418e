"""Shows the options on Locust's command line, in its web form, and in a list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, Protocol, get_args, get_origin

from voxpool.loadtest.options._options import (
    ENVIRONMENT,
    GROUPS,
    ON_THE_COMMAND_LINE,
    Group,
    LoadOptions,
    fields_of_options,
    flag_of,
)


class Parser(Protocol):
    """The used part of Locust's command line parser."""

    def add_argument_group(self, title: str) -> Any:
        """See argparse."""


def add_options(parser: Parser) -> None:
    """Add all options to Locust's parser, in groups; most are in its web form, too."""
    groups = {name: parser.add_argument_group(title) for name, title in GROUPS.items()}
    for option in described():
        # The web form shows the help of a field, but no groups: each help begins with its group.
        text = f"{option.group}: {option.text[:1].lower()}{option.text[1:]}"
        form: dict[str, Any] = {"default": option.default, "help": text.replace("%", "%%")}
        if option.kind is bool:
            form["action"] = "store_true"
        elif option.choices:
            form["choices"] = option.choices
        elif option.is_list:
            form |= {"action": "append", "default": None, "metavar": option.metavar}
        else:
            form |= {"type": option.kind, "metavar": option.metavar}
        name = option.name
        action = groups[option.group].add_argument(option.flag, dest=name, env_var=option.variable, **form)
        # A group doesn't accept the keywords of Locust's parser for its form; the form reads them from the action.
        action.include_in_web_ui = name not in ON_THE_COMMAND_LINE
        action.is_secret = name.endswith("_token")
        action.is_required = action.is_multiple = False


class Described(NamedTuple):
    """An option for help and web form."""

    name: str
    group: Group
    kind: Any
    """bool, int, float, str, a list of str, or the Literal of its `choices`."""
    choices: list[str]
    default: Any
    text: str

    @property
    def flag(self) -> str:
        """The flag on the command line."""
        return flag_of(self.name)

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return ENVIRONMENT + self.name.upper()

    @property
    def is_list(self) -> bool:
        """True when it can be given again."""
        return bool(self.kind == list[str])

    @property
    def metavar(self) -> str:
        """The placeholder of its value; "" = it takes none."""
        if self.choices:
            return "|".join(self.choices)
        if self.is_list:
            return "LIMIT"
        return {bool: "", int: "N", float: "X"}.get(self.kind, "TEXT")


def described() -> Iterator[Described]:
    """Yield all options in order."""
    defaults = LoadOptions()
    for name, (kind, meta) in fields_of_options().items():
        choices = list(get_args(kind)) if get_origin(kind) is Literal else []
        default = getattr(defaults, name)
        text = _help(meta.description or "", default)
        yield Described(name, (meta.extra or {})["group"], kind, choices, default, text)


def _help(text: str, default: object) -> str:
    shown = "" if default in ("", False, []) else f" (default {default})"
    return text[:1].upper() + text[1:] + shown + "."
