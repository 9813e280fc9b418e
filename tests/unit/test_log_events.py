"""Code and catalogue have the same events and fields; docs/events.md is generated from the catalogue."""

from __future__ import annotations

from tests.tidy.source_tree import ROOT, SourceTree
from tests.unit.log_rules import calls, catalogue, differences, strange_lines, traces_of
from voxpool.scheduler.telemetry.logs.events import FIELDS, LEVELS, Event

SECRET = b"somebody said this"


def test_code_and_catalogue_agree_on_events_and_fields() -> None:
    tree = SourceTree()
    written: dict[str, set[str]] = {}
    for path in tree.files("scheduler", suffix=".py"):
        for event, fields in calls((ROOT / path).read_text(), path).items():
            written.setdefault(event, set()).update(fields)
    assert differences(written, catalogue(), FIELDS) == []


def test_the_catalogue_has_the_meaning_of_each_event() -> None:
    assert all(event.meaning and event.level in LEVELS.values() for event in Event)
    assert len({event.value for event in Event}) == len(Event)


def test_a_planted_difference_is_found() -> None:
    source = 'log(Event.A, x=1)\nself._log(Event.B, **more)\nwrite(Event.C, {"y": 2})\nother(1, event=2)'
    plain = 'log.plain(Event.P, f\'"x":{x}{_given("y", of(z))}\' f\',"z":"{z}"\')'
    assert calls(plain) == {"P": {"x", "y", "z"}}
    written = calls(source)
    assert written == {"A": {"x"}, "B": {"**"}, "C": {"y"}}
    agreed = {"A": {"x"}, "B": {"**"}, "C": {"y"}}
    assert differences(written, agreed, {"x", "y", "**"}) == []
    assert differences(written, {**agreed, "D": set()}, {"x", "y", "**"}) == [
        "D: is in the catalogue, and nothing writes it"
    ]
    assert differences(written, {"A": {"z"}, "B": {"**"}, "C": {"y"}}, {"x", "y", "**"}) == [
        "A: nothing gives it z",
        "A: writes x, unknown to the catalogue",
        "x: has a meaning, and no event has it",
        "z: has no meaning",
    ]
    assert differences({**written, "E": set()}, agreed, {"x", "y", "**"}) == ["E: is written, and not in the catalogue"]


def test_an_unknown_line_is_found() -> None:
    good = {"ts": "", "level": "info", "event": "job_ended", "job_id": "j"}
    assert strange_lines([good]) == []
    assert strange_lines([{**good, "audio": "UklGRg=="}]) == ["job_ended at info: ['audio']"]
    assert strange_lines([{**good, "level": "debug"}]) == ["job_ended at debug: []"]
    assert strange_lines([{**good, "event": "job_sang"}]) == ["job_sang: unknown"]
    assert strange_lines([{"event": "job_submitted"}]) == ["begins with ('event',)"]


def test_a_payload_is_found_in_each_encoding() -> None:
    import base64

    for log in (
        SECRET,
        repr(b"\0\1" + SECRET).encode(),
        base64.b64encode(SECRET),
        base64.b64encode(b"RIFF" + SECRET + b"more"),
        base64.b64encode(b"WA" + SECRET),
        (b"VE!" + SECRET).hex().encode(),
    ):
        assert traces_of(SECRET, b'{"event":"x","error":"' + log + b'"}'), log
    assert traces_of(SECRET, b'{"event":"job_ended","reason":"this"}') == []
