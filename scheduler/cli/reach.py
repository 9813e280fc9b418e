"""The options by which a command reaches a scheduler, and the client they make."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from voxpool.scheduler.cli.grouped import GroupedOption

if TYPE_CHECKING:
    from voxpool.scheduler.sdk.http import HttpClient


GROUP = "The scheduler"


@dataclass(frozen=True, slots=True)
class Reach:
    """The URL of the scheduler, None = the default of the SDK; and the token for it, "" = none."""

    url: str | None
    token: str
    ca_file: Path | None

    def client(self, **options: Any) -> HttpClient:
        """Return a client over HTTP. Raises ConfigError."""
        from voxpool.scheduler.sdk.http import HttpClient

        return HttpClient(self.url, token=self.token, ca_file=self.ca_file, **options)


def reach_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --url, --token and --ca-file; it gets them as the argument `reach`."""

    @functools.wraps(function)
    def command(*args: Any, url: str | None, token: str | None, ca_file: Path | None, **options: Any) -> Any:
        return function(*args, reach=Reach(url, token_of(token), ca_file), **options)

    for option in reversed(
        (
            click.option(
                "--url",
                cls=GroupedOption,
                group=GROUP,
                help="URL of the scheduler; else VOXPOOL_URL, else http://127.0.0.1:5010.",
            ),
            click.option(
                "--token",
                cls=GroupedOption,
                group=GROUP,
                metavar="TOKEN|@FILE",
                help="The token that the scheduler asks for, or @ and a file that has it; else VOXPOOL_TOKEN, in the "
                "same way. Other users of the machine can read a command line, so prefer a file.",
            ),
            click.option(
                "--ca-file",
                cls=GroupedOption,
                group=GROUP,
                type=click.Path(path_type=Path, dir_okay=False),
                envvar="VOXPOOL_CA_FILE",
                help="A PEM file with the certificates to trust for https, instead of those that the machine trusts; "
                "else VOXPOOL_CA_FILE.",
            ),
        )
    ):
        command = option(command)
    return command


def token_of(token: str | None, flag: str = "--token") -> str:
    """Return the secret that `flag` or the environment gives: itself, or what is in the file behind an @; "" = none.

    Raises ConfigError.
    """
    from voxpool.scheduler.sdk.given import given_token

    return given_token(token, flag) or ""
