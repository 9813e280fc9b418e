"""The whole examination: a running scheduler is queried; otherwise its parts are tried out here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from voxpool.scheduler.config import Settings
from voxpool.scheduler.doctor.finding import Examination, Finding, Trouble
from voxpool.scheduler.doctor.here import address_findings, look_at_store, open_files_max, port_taken
from voxpool.scheduler.doctor.judge import is_public, notes, settings_findings
from voxpool.scheduler.doctor.there import Asked, knock
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.sdk.errors import SchedulerUnreachable
from voxpool.scheduler.sdk.http import HttpClient
from voxpool.scheduler.sdk.wire.trouble import trouble
from voxpool.scheduler.security.tls import ServerTls
from voxpool.scheduler.security.tokens import read_tokens
from voxpool.scheduler.stores.shown import without_password

PATIENCE_S = 5.0
_ALL = "0.0.0.0"  # nosec B104  # looked for, not bound
_ALL_ADDRESSES = {"": "127.0.0.1", _ALL: "127.0.0.1", "::": "::1"}
"""Where a scheduler that listens everywhere is reached from its own machine."""


class Patient(NamedTuple):
    """What is to be examined. `url` None = the scheduler of `settings`, on this machine, if it runs."""

    settings: Settings
    state_dir: Path | None
    url: str | None
    token: str | None
    ca_file: Path | None
    look_at_store: bool
    """Also look at the store of `settings` when a scheduler runs and is queried."""


def examine(patient: Patient, now_ms: Callable[[], int]) -> Examination:
    """Examine and return the findings. Raises ConfigError for settings that can't be used at all."""
    settings = patient.settings
    whole = Examination([], [], [])
    if patient.url is None and settings.port == 0:  # any free port: there is none to query, and none can be in use
        _examine_here(patient, whole, now_ms)
        return whole
    with HttpClient(
        patient.url or own_url(settings), token=patient.token, ca_file=patient.ca_file, patience_s=PATIENCE_S
    ) as client:
        at = urlsplit(client.url)
        host = at.hostname or ""
        nobody = knock(host, at.port or (443 if at.scheme == "https" else 80))
        if nobody is None:
            asked = Asked(client, whole, has_token=patient.token is not None)
            try:
                asked.ask()
            except SchedulerUnreachable as error:
                _no_scheduler(patient, whole, client.url, str(error))
                if patient.url is not None:
                    return whole
            else:
                if patient.look_at_store:
                    _look_at_store(patient, whole, now_ms, asked.owner)
                return whole
        elif patient.url is not None:
            to_do = "start it there (voxpool serve), or correct --url"
            whole.findings.append(Finding(Trouble.SCHEDULER_DOWN, client.url, trouble(client.url, nobody), to_do))
        else:
            whole.left_out.append(f"a running scheduler: there is none at {client.url}")
            whole.looked_at.append(f"the address {settings.host}:{settings.port}")
            whole.findings += address_findings(settings)
        if patient.url is None or patient.look_at_store or not is_public(host):
            _examine_here(patient, whole, now_ms)
    return whole


def own_url(settings: Settings) -> str:
    """Return where a scheduler with these settings is reached from its own machine."""
    host = _ALL_ADDRESSES.get(settings.host, settings.host)
    host = f"[{host}]" if ":" in host else host
    return f"{'https' if settings.tls_cert else 'http'}://{host}:{settings.port}"


def _no_scheduler(patient: Patient, whole: Examination, url: str, what: str) -> None:
    """The answer is not that of a scheduler."""
    if patient.url is None and not patient.settings.tls_cert:
        whole.findings.append(port_taken(f"{patient.settings.host}:{patient.settings.port}", patient.settings.port))
    else:
        to_do = "give the right --url, with the name in its certificate if it has one, or stop what is there"
        whole.findings.append(Finding(Trouble.NOT_A_SCHEDULER, url, what.removeprefix(f"{url}: "), to_do))


def _examine_here(patient: Patient, whole: Examination, now_ms: Callable[[], int]) -> None:
    """Examine the parts with which a scheduler with these settings would start."""
    settings = patient.settings
    whole.looked_at.append("the settings")
    try:
        if settings.access_file:
            read_tokens(Path(settings.access_file))
        if settings.tls_cert:
            ServerTls(Path(settings.tls_cert), Path(settings.tls_key))
    except ConfigError as error:
        whole.findings.append(Finding(Trouble.SECRET_FILE, "settings", str(error), "correct the file or its setting"))
    whole.findings += settings_findings(
        settings, "settings", needs_tokens=bool(settings.access_file), open_files_max=open_files_max()
    )
    whole.notes += notes(settings, open_files_max())
    _look_at_store(patient, whole, now_ms, "")


def _look_at_store(patient: Patient, whole: Examination, now_ms: Callable[[], int], own: str) -> None:
    whole.looked_at.append(f"the store {without_password(patient.settings.store)}")
    found = asyncio.run(look_at_store(patient.settings, patient.state_dir, now_ms, own))
    whole.findings += [finding for finding in found if finding not in whole.findings]
