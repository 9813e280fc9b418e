"""The examination of a running scheduler by its HTTP."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TypeVar

import msgspec

from voxpool.scheduler import __version__
from voxpool.scheduler.config import REDIS, Settings
from voxpool.scheduler.doctor.finding import Examination, Finding, Trouble
from voxpool.scheduler.doctor.here import store_unreachable
from voxpool.scheduler.doctor.judge import fleet_findings, notes, settings_findings, store_findings, too_few_replicas
from voxpool.scheduler.errors import VoxpoolError
from voxpool.scheduler.sdk.errors import RequestRefused, SchedulerUnreachable, TokenRefused
from voxpool.scheduler.sdk.http import HttpClient
from voxpool.scheduler.sentences import wrong
from voxpool.scheduler.telemetry.checkup import Checkup

T = TypeVar("T")

KNOCK_S = 3.0
STORE_UNAVAILABLE = "store_unavailable"


def knock(host: str, port: int) -> OSError | None:
    """Return why no server can be reached there, None when one can."""
    try:
        socket.create_connection((host, port), timeout=KNOCK_S).close()
    except OSError as error:
        return error
    return None


class Asked:
    """A running scheduler; its findings are added to an examination."""

    def __init__(self, client: HttpClient, examination: Examination, has_token: bool) -> None:
        self._client = client
        self._url = client.url
        self._all = examination
        self._has_token = has_token
        self.owner = ""
        """The name under which it has claimed its store; "" = not known, or none."""

    def ask(self) -> None:
        """Query all of it. Raises SchedulerUnreachable when it is no scheduler."""
        if self._client.show("/healthz") != {"status": "ok"}:
            raise SchedulerUnreachable(f"{self._url}: GET /healthz does not answer as a scheduler does")
        self._all.looked_at.append(f"the scheduler at {self._url}")
        self._version()
        self._ready()
        fleet = self._permitted("pools and nodes", lambda: (list(self._client.pools()), list(self._client.nodes())))
        if fleet is not None:
            self._all.findings += fleet_findings(self._url, *fleet)
        checkup = self._permitted("its settings and its store", self._checkup)
        if checkup is not None:
            self._judge(*checkup)

    def _version(self) -> None:
        info = self._client.show("/openapi.json").get("info", {})
        if (version := info.get("version")) != __version__:
            self._found(
                Trouble.VERSION,
                f"the scheduler is version {version}, this is {__version__}",
                "update the older of the two",
            )

    def _ready(self) -> None:
        try:
            self._client.show("/readyz")
        except RequestRefused as refused:
            if refused.reason == STORE_UNAVAILABLE:
                self._all.findings.append(store_unreachable(f"the store of {self._url}", refused.detail))
            else:
                self._found(Trouble.NOT_READY, str(refused), "wait until it is back, or start it again")

    def _checkup(self) -> tuple[Checkup, Settings]:
        """Return the checkup, and its settings as far as this version knows them."""
        checkup = msgspec.convert(self._client.show("/v1/debug/checkup"), Checkup)
        known = {field.name for field in msgspec.structs.fields(Settings)}
        given = {name: value for name, value in checkup.settings.items() if name in known}
        return checkup, msgspec.convert(given, Settings, strict=False)

    def _judge(self, checkup: Checkup, settings: Settings) -> None:
        self._all.findings += settings_findings(
            settings, self._url, needs_tokens=checkup.needs_tokens, open_files_max=checkup.open_files_max
        )
        self._all.notes += notes(settings, checkup.open_files_max)
        if checkup.store is not None:
            self.owner = checkup.store.asked_by
            self._all.findings += store_findings(checkup.store)
            if settings.jobs == REDIS:
                self._all.findings += too_few_replicas(checkup.store, settings.acks)
        if checkup.store_error and Trouble.STORE_UNREACHABLE not in {one.trouble for one in self._all.findings}:
            self._all.findings.append(store_unreachable(f"the store of {self._url}", checkup.store_error))

    def _permitted(self, what: str, ask: Callable[[], T]) -> T | None:
        """Return the answer; None when the scheduler refuses it, which is noted."""
        try:
            answer = ask()
        except TokenRefused as refused:
            if self._has_token and refused.reason == "unauthorized":
                self._found(Trouble.TOKEN, "the token is unknown there", "give one of its token file")
            self._all.left_out.append(f"{what}: needs the token of an admin (--token or VOXPOOL_TOKEN)")
        except msgspec.ValidationError as error:
            self._all.left_out.append(f"{what}: {wrong(error).sentence}")
        except VoxpoolError as error:
            self._all.left_out.append(f"{what}: {error}")
        else:
            self._all.looked_at.append(what)
            return answer
        return None

    def _found(self, trouble: Trouble, what: str, to_do: str) -> None:
        finding = Finding(trouble, self._url, what, to_do)
        if finding not in self._all.findings:
            self._all.findings.append(finding)
