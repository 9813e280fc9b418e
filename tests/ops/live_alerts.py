"""Every alert on real processes: a Prometheus and an Alertmanager watch schedulers that break, and a webhook receives
alerts.

`python -m tests.ops.live_alerts` writes the table of docs/reports/service.md.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from ops.rules import RULES
from tests.e2e.processes import until
from tests.ops.faults import FAULTS, Fault, nothing
from tests.ops.monitoring import Notice, Prometheus, Receiver, alertmanager, seen
from tests.ops.patients import Patient
from tests.servers import redis_server

NAMES = [rule.name for rule in RULES]
REPORT = Path(__file__).parents[2] / "docs" / "reports" / "service.md"
SCALE = 1 / 40
"""The scale of all durations in the rules: five minutes are 7.5 s."""
ALERTMANAGER_SCALE = 1 / 300
"""The scale of group_interval, after which a resolved alert is sent: five minutes are a second."""
PATIENCE_S = 60.0
WELL = "well"
SHARES_JOBS = ("--jobs", "redis", "--scheduler-lease-s", "1")
FLAGS: dict[str, tuple[str, ...]] = {
    "late": ("--dispatch-timeout-s", "0.5"),
    "full": ("--jobs-max", "20"),
    "kept": ("--retention-s", "1"),
    "bands": ("--order", "fair"),
    "partitions": SHARES_JOBS,
    "lapsed": SHARES_JOBS,
    "heir": SHARES_JOBS,
}
ON_REDIS = ("store", "out-of-memory", "partitions", "lapsed", "heir")
CLEANUP_S = 0.5
AT_A_TIME = 2
"""The number of schedulers that start together: if all did, each would take as long as all of them."""


@dataclass(frozen=True)
class Seen:
    """An alert that fired and resolved: seconds from the fault to its notice, and from the healing to its end."""

    alert: str
    fault: Fault
    receiver: str
    fired_s: float
    resolved_s: float


@dataclass
class Observed:
    """The results."""

    seen: list[Seen]
    of_the_well_one: set[str]
    """Alerts of the healthy scheduler."""


async def play_all(folder: Path) -> Observed:
    """Play every fault. Raises TimeoutError, in a group, when an alert does not fire, or does not resolve for good."""
    async with AsyncExitStack() as stack:
        patients: dict[str, Patient] = {}
        for name in sorted({WELL, *(fault.patient for fault in FAULTS)}):
            server = stack.enter_context(redis_server()) if name in ON_REDIS else None
            flags = ("--cleanup-interval-s", str(CLEANUP_S), *FLAGS.get(name, ()))
            patients[name] = Patient(folder, name, flags, server)
            stack.callback(patients[name].end_all)
        with ThreadPoolExecutor(AT_A_TIME) as threads:
            list(threads.map(Patient.start, patients.values()))
        receiver = stack.enter_context(closing(Receiver()))
        address = stack.enter_context(alertmanager(folder, receiver, ALERTMANAGER_SCALE))
        instances = [patient.instance for patient in patients.values()]
        prometheus = stack.enter_context(closing(Prometheus(folder, instances, SCALE, address)))
        await seen(lambda: len(prometheus.query("up == 1")) == len(patients), lambda: prometheus.query("up"))
        barrier = asyncio.Barrier(len(FAULTS))
        async with nothing(patients[WELL]), asyncio.TaskGroup() as group:
            played = [
                group.create_task(Play(fault, patients[fault.patient], receiver, prometheus).run(barrier))
                for fault in FAULTS
            ]
        reported = [one for play in played for one in play.result()]
        well = patients[WELL].instance
        return Observed(
            sorted(reported, key=lambda one: NAMES.index(one.alert)),
            {n.labels["alertname"] for n in receiver.notices if n.labels.get("instance") == well},
        )


@dataclass(frozen=True)
class Play:
    """One fault, its scheduler, and the receiver."""

    fault: Fault
    patient: Patient
    receiver: Receiver
    prometheus: Prometheus

    async def run(self, all_healed: asyncio.Barrier) -> list[Seen]:
        """Break it until its alerts are received, heal it until they are resolved, and check that they stay so."""
        began_s = time.monotonic()
        async with self.fault.play(self.patient) as heal:
            broken = await self._received("firing", began_s)
            healing_s = time.monotonic()
            await heal()
            healed = await self._received("resolved", healing_s)
            await all_healed.wait()
            await seen(lambda: not self._firing(), self._firing)
        return [
            Seen(alert, self.fault, notice.receiver, notice.at_s - began_s, healed[alert].at_s - healing_s)
            for alert, notice in broken.items()
        ]

    async def _received(self, status: str, since_s: float) -> dict[str, Notice]:
        """Wait until each alert of the fault was received with `status`; return the first such notices."""

        def found() -> dict[str, Notice]:
            first: dict[str, Notice] = {}
            for notice in list(self.receiver.notices):
                if self._is_mine(notice.labels) and notice.status == status and notice.at_s >= since_s:
                    first.setdefault(notice.labels["alertname"], notice)
            return first

        try:
            await until(lambda: set(self.fault.alerts) == set(found()), PATIENCE_S)
        except TimeoutError:
            raise TimeoutError(f"{self.fault.broke}: of {self.fault.alerts} {status}: {list(found())}") from None
        return found()

    def _firing(self) -> list[Mapping[str, str]]:
        firing = self.prometheus.query('ALERTS{alertstate="firing"}')
        return [series["metric"] for series in firing if self._is_mine(series["metric"])]

    def _is_mine(self, labels: Mapping[str, str]) -> bool:
        return (
            labels["alertname"] in self.fault.alerts
            and labels.get("instance", self.patient.instance) == self.patient.instance
            and labels.get("pair", self.fault.pair) == self.fault.pair
        )


def table(seen: list[Seen]) -> str:
    """Return the table of the report."""
    lines = ["| alert | what was broken | fires after | what healed it | resolved after |", "|---|---|---|---|---|"]
    for one in seen:
        words = (one.alert, one.fault.broke, f"{one.fired_s:.1f} s", one.fault.healed, f"{one.resolved_s:.1f} s")
        lines.append(f"| {' | '.join(words)} |")
    return "\n".join(lines)


def put_into(report: str, section: str) -> str:
    """Return `report` with `section` under its heading Alerts."""
    before, heading, after = report.partition("## Alerts\n")
    assert heading
    _, next_heading, rest = after.partition("\n## ")
    return f"{before}{heading}\n{section}\n{next_heading}{rest}"


def main() -> None:
    """Play all faults and write the report."""
    with tempfile.TemporaryDirectory() as folder:
        observed = asyncio.run(play_all(Path(folder)))
    section = (
        f"Each alert of `ops/prometheus/alerts.yml`, with all durations 1/{1 / SCALE:g} of the shipped ones, against "
        "schedulers and nodes that\nreally break; the seconds are those until a webhook behind Alertmanager has the "
        "notice (`python -m tests.ops.live_alerts`):\n\n" + table(observed.seen)
    )
    REPORT.write_text(put_into(REPORT.read_text(), section))
    print(table(observed.seen))


if __name__ == "__main__":
    main()
