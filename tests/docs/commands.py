"""Checks that a shell line of a page is valid for our commands: their own parsers parse it, but it is not run."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from reference.commands import COMMANDS
from reference.pages import ROOT
from tests.docs.markdown import blocks, prose

SHELLS = ("sh", "bash", "console")
PLACEHOLDER = re.compile(r"[|…\[\]{}<>*]|^[A-Z_]+$")
"""Values that stand for others."""
CHECKED = (click.Choice, click.IntRange, click.FloatRange)
"""Types whose values are checked, too."""
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_STOPS = {"|", "||", "&&", "&", ";", ">", ">>", "<", "2>"}
ENVIRONMENT = ".venv/bin/"
_WRAPPERS = {"eval", "sudo", "exec"}


def lines_of(text: str) -> Iterator[str]:
    """Yield each line of a shell block, of an indented block, and each piece of code in a sentence."""
    for block in blocks(text):
        if block.language in SHELLS:
            yield from block.text.replace("\\\n", " ").splitlines()
    rest = prose(text)
    for line in rest.replace("\\\n", " ").splitlines():
        if line.startswith("    "):
            yield line.strip()
    for found in _CODE.finditer(rest):
        yield found[1]


def wrong_with(line: str, locust_options: str) -> str | None:
    """Return the error in `line`; None when it is valid, or is no command of ours."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return None  # a quotation in a sentence
    words = words[: next((i for i, word in enumerate(words) if word in _STOPS), len(words))]
    while words and (re.fullmatch(r"[A-Z_]+=.*", words[0]) or words[0] in _WRAPPERS):
        words = words[1:]
    if words and words[0].startswith(ENVIRONMENT):
        words[0] = words[0].removeprefix(ENVIRONMENT)
        if not (Path(sys.executable).parent / words[0]).exists():
            return f"the environment has no command {words[0]}"
    match words:
        case [name, *arguments] if name in COMMANDS:
            return _wrong_arguments(COMMANDS[name], name, arguments)
        case ["make", target, *_] if re.fullmatch(r"[a-z-]+", target):
            return None if target in TARGETS else f"make has no target {target}"
        case ["python", "-m", module, *_] if re.fullmatch(r"[\w.]+", module):
            return None if _is_module(module) else f"there is no module {module}"
        case ["python", file, *_] if file.startswith(("examples/", "scripts/")):
            return None if (ROOT / file).exists() else f"there is no file {file}"
        case ["locust", *arguments]:
            options = [word.partition("=")[0] for word in arguments if re.fullmatch(r"--[\w-]+(=.*)?", word)]
            unknown = [option for option in options if not re.search(rf"(?<![\w-]){option}(?![\w-])", locust_options)]
            return f"locust has no option {unknown[0]}" if unknown else None
    return None


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _wrong_arguments(group: click.Group, name: str, arguments: list[str]) -> str | None:
    context = click.Context(group, info_name=name)
    if not arguments or arguments[0].startswith("-") or PLACEHOLDER.search(arguments[0]):
        return _wrong_options(group, context, arguments[:1]) if arguments and arguments[0].startswith("-") else None
    command = group.get_command(context, arguments[0])
    if command is None:
        return f"{name} has no command {arguments[0]}"
    return _wrong_options(command, click.Context(command, info_name=arguments[0], parent=context), arguments[1:])


def _wrong_options(command: click.Command, context: click.Context, arguments: list[str]) -> str | None:
    """Parse without the checks of files and of required options; a bracketed option counts as an option."""
    plain = [word.strip("[]") if word.startswith("[-") or word.endswith("]") else word for word in arguments]
    given = [word for word in plain if word not in ("…", "...", "")]
    try:
        values, extra, _ = command.make_parser(context).parse_args(given)
        for parameter in command.get_params(context):
            value = values.get(parameter.name or "")
            if isinstance(value, str) and isinstance(parameter.type, CHECKED) and not PLACEHOLDER.search(value):
                parameter.type_cast_value(context, value)
    except click.UsageError as error:
        return error.format_message()
    left = [word for word in extra if not PLACEHOLDER.search(word)]
    return f"{command.name} does not take {left[0]}" if left else None
