"""Shared by the command lines: exit codes, errors as one line on standard error, and common options."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from typing import NoReturn

import click

from voxpool.leakgate.errors import LeakgateError, WrongInput
from voxpool.leakgate.terminal import say

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_WRONG_INPUT = 3
"""Exit code of wrong input, usage errors included."""
EXIT_INTERRUPTED = 130
"""Exit code after Ctrl-C, by the convention of shells: 128 + SIGINT."""
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(s|m|h|)")


def run_commands(
    commands: click.Group, name: str, failed: int = EXIT_FAILED, *, errors: tuple[type[Exception], ...] = (),
    wrong_input: tuple[type[Exception], ...] = (WrongInput,), unread: int = EXIT_FAILED,
    interrupted: int = EXIT_INTERRUPTED, text: Callable[[Exception], str] = str,
) -> NoReturn:  # fmt: skip
    """Run the command line `name` and exit with the result of its command (None = EXIT_DONE).

    `failed` is the exit code for a LeakgateError, or one of `errors`, that isn't one of `wrong_input`; `unread` that
    for a closed standard output, as with head(1); `text` formats such an error.
    """
    ours: tuple[type[Exception], ...] = (LeakgateError, *errors)
    open_standard_streams()
    try:
        code = commands.main(prog_name=name, standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(EXIT_WRONG_INPUT)
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        command = context.command_path if context else name
        _print_error(f"{command}: {error.format_message()} (see {command} --help)")
        sys.exit(EXIT_WRONG_INPUT)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(unread)
    except ours as error:
        _print_error(f"{name}: {text(error)}")
        sys.exit(EXIT_WRONG_INPUT if isinstance(error, wrong_input) else failed)
    except OSError as error:
        if error.filename is None:
            raise
        _print_error(f"{name}: {error.filename}: {error.strerror}")
        sys.exit(EXIT_WRONG_INPUT)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(interrupted)
    sys.exit(code if isinstance(code, int) else EXIT_DONE)


def open_standard_streams() -> None:
    """Open /dev/null for closed standard streams (`2>&-`).

    Otherwise the next file or connection would get the free descriptor and receive the output of libraries to standard
    error; Python would have no sys.stderr, so errors would not be printed.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free descriptor, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def parse_duration(text: str) -> float:
    """Return the seconds of a text such as "90", "90s", "6m" or "1.5h". Raises ValueError."""
    found = _DURATION.fullmatch(text.strip())
    if found is None or not float(found[1]):
        raise ValueError(f"{text!r}: want a time above 0, such as 90s, 6m or 1h")
    return float(found[1]) * _SECONDS[found[2]]


def _print_error(line: str) -> None:
    say(" ".join(line.split()), err=True)
