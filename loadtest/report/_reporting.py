"""Makes the report of a run from the measurements of its parts, and writes it as JSON and HTML."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from voxpool.leakgate.report.report import WatchReport
from voxpool.loadtest.measuring._pools import pools_of
from voxpool.loadtest.report._records import HTML_NAME, JSON_NAME, Knee, LoadReport, encoded
from voxpool.loadtest.running._part import Context
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.stores.shown import without_password
from voxpool.sim.report.report import Check, Outcome
from voxpool.sim.report.versions import versions

if TYPE_CHECKING:
    from voxpool.loadtest.measuring._part import Figures, Measuring
    from voxpool.loadtest.measuring._pools_watch import PoolsWatch

PACKAGES = ("locust", "gevent", "websockets")


class Reporting:
    """Makes the reports, in the process that decides."""

    def __init__(self, context: Context, measuring: Measuring, pools: PoolsWatch) -> None:
        self._context = context
        self._measuring = measuring
        self._pools = pools

    def forget(self) -> None:
        """Drop the figures of the previous test, which is not the one to report."""
        self._measuring.forget()
        self._pools.forget()

    def figures(self) -> Figures:
        """Return the measurements so far, the basis of a verdict."""
        return self._measuring.figures()

    def compose(
        self, figures: Figures, *, outcome: Outcome, exit_code: int, why: str, checks: Sequence[Check],
        notes: Sequence[str] = (), memory: WatchReport | None = None, scheduler: Mapping[str, Any] | None = None,
        knee: Knee | None = None,
    ) -> LoadReport:  # fmt: skip
        """Return the report of the test; `scheduler` is what it reported about itself."""
        context = self._context
        return LoadReport(
            verdict=outcome.value,
            exit_code=exit_code,
            why=why,
            host=_without_password(context.host),
            started=context.started.isoformat(timespec="seconds"),
            duration_s=figures.duration_s,
            ended_by=context.ended_by or "time",
            options=_options(context),
            versions=_versions(),
            scheduler=dict(scheduler or {}),
            users_max=figures.users_max,
            checks=list(checks),
            notes=[*notes, *_notes(figures)],
            generator=figures.generator,
            arrivals=figures.arrivals,
            jobs=figures.jobs,
            operations=figures.operations,
            errors=figures.errors,
            windows=figures.windows,
            knee=knee,
            pools=pools_of(self._pools.seen, figures.served, self._pools.unreadable),
            memory=memory,
        )


def make_folder(folder: Path) -> None:
    """Make the folder of a report before the load. Raises ConfigError when it is not writable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out {folder}: {error.strerror}: no report can be written there") from error
    taken = [name for name in (JSON_NAME, HTML_NAME) if (folder / name).is_dir()]
    if taken or not os.access(folder, os.W_OK | os.X_OK):
        what = f"{taken[0]} is a folder" if taken else "it can't be written to"
        raise ConfigError(f"--out {folder}: {what}: no report can be written there")


def write_report(report: LoadReport, folder: Path) -> list[Path]:
    """Write `report` into `folder`, the JSON first, and return the files. Raises OSError."""
    from voxpool.loadtest.report._page import html_page

    folder.mkdir(parents=True, exist_ok=True)
    (folder / JSON_NAME).write_bytes(encoded(report))
    (folder / HTML_NAME).write_text(html_page(report), encoding="utf-8")
    return [folder / JSON_NAME, folder / HTML_NAME]


def _notes(figures: Figures) -> list[str]:
    """Return notes about the load that matter for the figures."""
    generator, arrivals = figures.generator, figures.arrivals
    notes = [f"The generator, not the scheduler, may have set these figures: {one}." for one in generator.reasons]
    notes += [f"{one[:1].upper()}{one[1:]}." for one in generator.notes]
    if arrivals is not None and arrivals.dropped:
        notes.append(
            f"{arrivals.dropped:,} of {arrivals.intended:,} arrivals were not sent, because their user had "
            "--outstanding-max jobs in flight: the load was less than requested, and latencies exclude these jobs."
        )
    return notes


def _options(context: Context) -> dict[str, Any]:
    """Return the options of the run without secrets, and Locust's options of the load."""
    given: dict[str, Any] = msgspec.to_builtins(context.options)
    shown = {name: _without_password(value) for name, value in given.items() if not name.endswith("_token")}
    parsed = vars(context.environment.parsed_options)
    common = {name: parsed.get(name) for name in ("num_users", "spawn_rate")}
    return {**common, "run_time": context.run_time_s, **shown}


def _without_password(value: Any) -> Any:
    """Return `value`; a URL without user and password."""
    return without_password(re.sub(r"://[^/@\s]*@", "://", value)) if isinstance(value, str) else value


def _versions() -> dict[str, str]:
    found = versions()
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
