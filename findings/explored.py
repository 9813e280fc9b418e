"""Defect R1 is tested by an exploration: the same flow in every order, with production's code and without the fix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from findings.pages import Found, question_of
from findings.rows import size_of
from voxpool.sim.report.report import Line, Report

ROW = "R1"
FLOW = "1-timeout-offline"
WHAT = "a timeout's redispatch and the offline of a node interleave"


def finding_of(without: Mapping[str, Any], with_: Mapping[str, Any]) -> dict[str, Any]:
    """Return the finding of R1 from the reports (JSON) of both explorations."""
    sides = {"without": _search(without, "without"), "with": _search(with_, "with")}
    holds = without["verdict"] == "broken" and with_["verdict"] == "holds"
    return {
        "row": ROW,
        "what": WHAT,
        "experiment": f"explore {FLOW}",
        "size": size_of(with_["options"]),
        "seed": with_["seed"],
        "figures": [
            _figure("interleavings that the runs stand for", sides, lambda search: f"{search['interleavings']:,}"),
            _figure(
                "runs that break a check", sides, lambda search: f"{search['broken_runs']:,} of {search['runs']:,}"
            ),
            _figure("jobs that fail though a node lives", sides, lambda search: f"{_failed(search):.1%} of the runs"),
        ],
        "verdict": "holds" if holds else "does not hold",
    }


def found(without: Report, with_: Report) -> Found:
    """Return the finding of both explorations, with a picture of each."""
    finding = finding_of(without.as_dict(), with_.as_dict())
    drawn = [
        replace(draw(), name=side, title=f"{FLOW}, {side} the fix: how its orders end")
        for side, report in (("without", without), ("with", with_))
        for draw in report.pictures
    ]
    lines = [Line(ROW, figure["name"], "", figure["without"], figure["with"]) for figure in finding["figures"]]
    content = replace(with_, lines=lines, variant="both").as_dict() | {"verdict": finding["verdict"]}
    return Found([finding], question_of(content, {ROW: WHAT}, drawn), drawn)


def _search(report: Mapping[str, Any], side: str) -> Mapping[str, Any]:
    search: Mapping[str, Any] = report["variants"][side]["searches"][0]
    return search


def _figure(name: str, sides: Mapping[str, Any], show: Any) -> dict[str, str]:
    return {"name": name, **{side: show(search) for side, search in sides.items()}}


def _failed(search: Mapping[str, Any]) -> float:
    return sum(float(end["share"]) for end in search["ends"] if " failed" in end["end"])
