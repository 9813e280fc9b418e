"""The shipped rules, tested with promtool: each alert is silent without its fault, fires with it, and resolves."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ops.render import ALERTS, RUNBOOK, render, scaled
from ops.rules import CRITICAL, NOT_LET_IN_FOR_WANT_OF_ROOM, REFUSED_FOR_WANT_OF_ROOM, RULES, WARNING
from tests.ops.alert_cases import CASES, HEALTHY, PLANTED, Case, Series
from voxpool.scheduler.telemetry.metrics.labels import CONNECTION_REASONS, REJECT_REASONS

ROOT = Path(__file__).parents[2]
FIRING = "sum by (alertname) (ALERTS{alertstate='firing'})"
SCRAPED = {"job": "voxpool", "instance": "a:5010"}


def test_the_rule_file_is_up_to_date() -> None:
    assert ALERTS.read_text() == render(), "run: python -m ops.render"


def test_promtool_accepts_the_rules() -> None:
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", str(ALERTS))
    assert checked.returncode == 0 and f"{len(RULES)} rules found" in checked.stdout, checked


def test_each_alert_has_a_section_in_the_runbook_and_each_section_an_alert() -> None:
    text = (ROOT / RUNBOOK).read_text()
    assert re.findall(r"^## (Voxpool\w+)$", text, re.MULTILINE) == [rule.name for rule in RULES]
    for section in text.split("\n## Voxpool")[1:]:
        for part in ("Means.", "Look.", "Do."):
            assert f"**{part}**" in section, section.splitlines()[0]


def test_each_alert_has_a_severity_and_a_remedy() -> None:
    for rule in RULES:
        assert rule.severity in (CRITICAL, WARNING) and len(rule.todo) > 50, rule.name
        assert f"runbook_url: {RUNBOOK}#{rule.name.lower()}\n" in render((rule,))


def test_the_reasons_of_the_rules_are_those_of_the_scheduler() -> None:
    assert set(REFUSED_FOR_WANT_OF_ROOM.split("|")) <= REJECT_REASONS
    assert set(NOT_LET_IN_FOR_WANT_OF_ROOM.split("|")) <= CONNECTION_REASONS


def test_each_alert_has_cases() -> None:
    assert {case.alert for case in CASES} == {rule.name for rule in RULES} == {alert for alert, _, _ in PLANTED}


def test_each_alert_fires_alone_for_its_fault_and_resolves(tmp_path: Path) -> None:
    tried = try_cases(tmp_path, ALERTS.read_text(), [Case("", {}), *CASES])
    assert tried.returncode == 0, tried.stdout + tried.stderr


@pytest.mark.parametrize(("alert", "there", "planted"), PLANTED)
def test_the_cases_notice_a_wrong_rule(alert: str, there: str, planted: str, tmp_path: Path) -> None:
    rule = next(rule for rule in RULES if rule.name == alert)
    assert there in rule.expression
    wrong = replace(rule, expression=rule.expression.replace(there, planted, 1))
    cases = [Case("", {}), *(case for case in CASES if case.alert == alert)]
    healthy = {series: values for series, values in HEALTHY.items() if series.partition("{")[0] in rule.expression}
    assert try_cases(tmp_path, render((wrong,)), cases, healthy).returncode != 0


def test_a_scale_shrinks_every_duration_and_no_other_number() -> None:
    assert scaled("rate(x[<5m>]) > 5 or y > <2m in s>", 1) == "rate(x[5m]) > 5 or y > 120"
    assert scaled("rate(x[<5m>]) > 5 or y > <2m in s>", 1 / 60) == "rate(x[5000ms]) > 5 or y > 2"
    for rule in RULES:
        text = re.sub(r"<\d+[smh]( in s)?>", "", rule.expression + rule.holds)
        assert not re.search(r"\d[smh]\b|\[\d", text), f"{rule.name}: a duration that does not scale"


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)


def try_cases(
    folder: Path, rules: str, cases: list[Case], healthy: Series = HEALTHY
) -> subprocess.CompletedProcess[str]:
    """Run promtool on `cases` against `rules`; series that a case leaves out are `healthy`."""
    (folder / "rules.yml").write_text(rules)
    lines = ["rule_files: [rules.yml]", "evaluation_interval: 30s", "tests:"]
    for case in cases:
        lines += [f"- name: {case.alert or 'healthy'}", "  interval: 15s", "  input_series:"]
        for series, values in labelled({**healthy, **case.series}).items():
            lines += [f"  - series: '{series}'", f"    values: '{values}'"]
        lines.append("  promql_expr_test:")
        expected = "".join(
            f"\n    - labels: '{{alertname=\"{alert}\"}}'\n      value: 1"
            for alert in sorted([case.alert, *case.follows])
            if alert
        )
        for minute, samples in ((5, ""), (18, expected), (38, "")):
            lines += [f'  - expr: "{FIRING}"', f"    eval_time: {minute}m", f"    exp_samples: {samples or '[]'}"]
    (folder / "test.yml").write_text("\n".join(lines) + "\n")
    return promtool("test", "rules", str(folder / "test.yml"))


def labelled(series: Series) -> Series:
    """Return `series` with the labels of a scrape; their own labels are kept."""
    found: Series = {}
    for key, values in series.items():
        name, _, inner = key.rstrip("}").partition("{")
        labels = dict(re.findall(r'(\w+)="([^"]*)"', inner))
        text = ",".join(f'{label}="{value}"' for label, value in {**SCRAPED, **labels}.items())
        found[f"{name}{{{text}}}"] = values
    return found
