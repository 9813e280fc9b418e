"""The end of a test: makes the verdict, the exit code and the report from the measurements of the parts."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import msgspec

from voxpool.leakgate.report.charts import notes_of
from voxpool.leakgate.report.report import WatchReport
from voxpool.loadtest.measuring._latencies import WINDOW_DIGITS
from voxpool.loadtest.measuring._part import Figures
from voxpool.loadtest.measuring._tally import DIGITS
from voxpool.loadtest.measuring._what_became import results_ended
from voxpool.loadtest.measuring._windows import Counted, joined
from voxpool.loadtest.options._options import Gate
from voxpool.loadtest.report._checks import table_lines
from voxpool.loadtest.report._records import Knee
from voxpool.loadtest.report._reporting import Reporting, write_report
from voxpool.loadtest.running._part import Context
from voxpool.loadtest.verdict._expectations import Measured, check_all, share_that_may_fail
from voxpool.loadtest.verdict._knee import counted_until, knee_check, knee_note, knee_of
from voxpool.loadtest.verdict._verdict import EXIT_WRONG_INPUT, Evidence, judge, undecided_note, where_to_look
from voxpool.sim.report.report import Check, Outcome

logger = logging.getLogger("voxpool.load")

ERRORS_SHOWN = 5
ERROR_CHARACTERS = 300


class TellsMemory(Protocol):
    """The used part of the memory watch."""

    def report(self, with_power: bool = False) -> WatchReport:
        """Return the current report, optionally with the smallest detectable leak."""


class TellsNotes(Protocol):
    """A part with notes for the report."""

    @property
    def notes(self) -> list[str]:
        """Return notes about the test."""


class Conclusion:
    """Concludes a test in the process that decides, from the parts with measurements."""

    def __init__(self, context: Context, reporting: Reporting, memory: TellsMemory, *others: TellsNotes) -> None:
        self._context = context
        self._reporting = reporting
        self._memory = memory
        self._others = others

    def conclude(self, refused: str = "", code_refused: int = EXIT_WRONG_INPUT) -> int:
        """Write the report and return the exit code.

        `refused` is why there was no test, or why it could not continue; `code_refused` is the exit code for that.
        """
        context = self._context
        never_ran = bool(refused) and not context.refused
        if never_ran:
            self._reporting.forget()  # a page may have run tests before
        figures = self._reporting.figures()
        memory = None if refused or context.options.memory == "off" else self._memory.report(with_power=True)
        knee = self._knee(figures)
        verdict = judge(self._evidence(figures, memory, knee))
        outcome, code, why, checks = verdict.outcome, verdict.exit_code, verdict.why, verdict.checks
        if refused:
            outcome, code, why, checks = Outcome.UNCLEAR, code_refused, refused, []
        notes = list(context.notes)
        if not never_ran:
            notes += [note for other in self._others for note in other.notes]
            notes += error_notes(context.runner.exceptions.values())
        if knee is not None:
            notes.append(knee_note(knee))
        undecided = "" if refused else undecided_note(verdict)
        notes += [undecided] if undecided else []
        aside = leak_sentence(memory) if context.options.gate == "load" else ""
        notes += [f"{aside}; it does not decide with --gate load"] if aside else []
        scheduler: dict[str, Any] = {} if context.seen is None else msgspec.to_builtins(context.seen)
        report = self._reporting.compose(
            figures,
            outcome=outcome,
            exit_code=code,
            why=why,
            checks=checks,
            notes=notes,
            memory=memory,
            scheduler=scheduler,
            knee=knee,
        )
        try:
            written = write_report(report, context.folder)
        except OSError as error:
            if not refused:  # otherwise the reason includes it
                logger.error("There is no report: %s: %s", error.filename, error.strerror)
            written = []
            code = code or Outcome.UNCLEAR.exit_code  # a pass needs a report as evidence
        if refused:
            does_not = "can't" if code == EXIT_WRONG_INPUT else "does not"
            logger.error("The run %s start (exit code %d): %s", does_not, code, why)
        else:
            logger.info("The run %s (exit code %d): %s", SAID[outcome], code, why)
            logger.info("Its checks:%s", "".join(f"\n  {line}" for line in table_lines(checks)))
        if memory is not None and context.options.gate != "load":
            for note in notes_of(memory.finding):
                logger.info("Memory: %s", note)
        for note in (undecided, aside):
            if note:
                logger.warning("%s", note)
        if figures.generator.was_limit:
            logger.warning("The load generator was the limit: %s", "; ".join(figures.generator.reasons))
        if written:
            logger.info("Report: %s", " and ".join(map(str, written)))
        return code

    def _evidence(self, figures: Figures, memory: WatchReport | None, knee: Knee | None) -> Evidence:
        context = self._context
        gate = context.options.gate
        check, unclear = memory_check(memory, gate)
        timed = []
        operations: Mapping[str, Counted] = {f"{one.type} {one.name}": one for one in figures.operations}
        digits, seconds = DIGITS, figures.duration_s
        if knee is not None:
            at_knee, why = knee_check(knee)
            timed.append(at_knee)
            unclear += [why] if why and gate != "memory" else []
            # Above the knee the load is intentionally too high: failures there don't count.
            windows = counted_until(figures.windows, knee, self._standing)
            operations, digits = joined(windows), WINDOW_DIGITS
            seconds = min(seconds, sum(window.length_s for window in windows))
        measured = Measured(
            operations=operations, digits=digits, seconds=seconds, jobs=figures.jobs, arrivals=figures.arrivals,
            memory=memory,
        )  # fmt: skip
        return Evidence(
            gate=gate,
            results=results_ended(figures.operations),
            expected=check_all(context.expectations, measured),
            wrong=figures.jobs.wrong + figures.jobs.twice,
            exceptions=sum(one["count"] for one in context.runner.exceptions.values()),
            gone=context.gone,
            missing=context.missing,
            memory=check,
            leak=leak_sentence(memory),
            timed=timed,
            unclear=unclear,
            generator_limits=figures.generator.reasons if figures.generator.was_limit else (),
            nothing_ended=where_to_look(figures.jobs, figures.arrivals),
        )

    def _knee(self, figures: Figures) -> Knee | None:
        options = self._context.options
        if options.shape != "steps":
            return None
        failures_max = share_that_may_fail(self._context.expectations)
        return knee_of(figures.windows, standing=self._standing, knee_ms=options.knee_ms, failures_max=failures_max)

    @property
    def _standing(self) -> int:
        """Return the number of users that are present all the time."""
        return self._context.nodes + self._context.options.misbehaving


SAID = {Outcome.HOLDS: "holds", Outcome.BROKEN: "does not hold", Outcome.UNCLEAR: "is unclear"}


def error_notes(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the errors of users, the most frequent first, from the exceptions that Locust's runner records."""
    most = sorted(rows, key=lambda row: int(row["count"]), reverse=True)[:ERRORS_SHOWN]
    return [
        f"{row['count']} x an error of a user: {str(row['msg'])[:ERROR_CHARACTERS]} "
        f"({' '.join(' '.join(str(row['traceback']).splitlines()[-2:]).split())[:ERROR_CHARACTERS]})"
        for row in most
    ]


def leak_sentence(memory: WatchReport | None) -> str:
    """Return a sentence about the leak; "" when none is known."""
    if memory is None or memory.finding.verdict != "leak":
        return ""
    return f"memory: leak: {memory.finding.reason}"


def memory_check(memory: WatchReport | None, gate: Gate) -> tuple[Check | None, list[str]]:
    """Return the check of memory and the reasons why it is unclear; both are empty unless memory decides."""
    if memory is None or gate == "load":
        return None, []
    finding = memory.finding
    clear = finding.verdict in ("leak", "no leak")
    check = Check("memory", finding.verdict == "no leak", finding.verdict, "== no leak", clear)
    return check, [] if clear else [f"memory: {finding.reason}"]
