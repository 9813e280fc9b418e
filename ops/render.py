"""Writes ops/prometheus/alerts.yml from rules.py, and the dashboard beside it: `python -m ops.render`.

With a scale below 1 all durations shrink, so that a test sees in seconds what takes minutes in a real system.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from ops.dashboard import DASHBOARD, dashboard
from ops.rules import RULES, Rule

ALERTS = Path(__file__).parent / "prometheus" / "alerts.yml"
RUNBOOK = "docs/runbook.md"
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"<(\d+)([smh])( in s)?>")
HEAD = """\
# The alerts of voxpool. Written by `python -m ops.render` from ops/rules.py: change it there.
# What to do about each: docs/runbook.md. Tests: tests/ops/ (promtool, and real faults).
"""


def render(rules: tuple[Rule, ...] = RULES, scale: float = 1.0, runbook: str = RUNBOOK) -> str:
    """Return the rule file of `rules` with all durations times `scale`; `runbook` is the start of each link."""
    lines = ["groups:", "  - name: voxpool", "    rules:"]
    for rule in rules:
        lines += [
            f"      - alert: {rule.name}",
            *_block("expr", scaled(rule.expression, scale)),
            f"        for: {scaled(rule.holds, scale)}",
            "        labels:",
            f"          severity: {rule.severity}",
            "        annotations:",
            *_text("summary", rule.summary),
            *_text("description", rule.todo),
            f"          runbook_url: {runbook}#{rule.name.lower()}",
        ]
    return HEAD + "\n".join(lines) + "\n"


def scaled(text: str, scale: float) -> str:
    """Return `text` with its durations times `scale`: <5m> becomes 5m or 5000ms, <5m in s> a number."""

    def duration(match: re.Match[str]) -> str:
        number, unit, as_number = match.groups()
        seconds = int(number) * SECONDS[unit] * scale
        if as_number:
            return f"{seconds:g}"
        return f"{number}{unit}" if scale == 1 else f"{round(1000 * seconds)}ms"

    return _DURATION.sub(duration, text)


def _block(key: str, text: str) -> list[str]:
    return [f"        {key}: |-", *(f"          {line}" for line in text.splitlines())]


def _text(key: str, text: str) -> list[str]:
    folded = textwrap.wrap(text, 108, break_long_words=False, break_on_hyphens=False)
    return [f"          {key}: >-", *(f"            {line}" for line in folded)]


if __name__ == "__main__":
    ALERTS.write_text(render())
    DASHBOARD.write_text(dashboard())
