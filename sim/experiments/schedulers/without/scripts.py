"""R8, R19: scripts of lua/jobs/ with an old behaviour put back."""

from __future__ import annotations

from voxpool.scheduler.stores.script_sources import JOBS, ScriptSource, assemble, read_texts

_CHECK = "if j and j.state == RUNS and j.by == scheduler and j.attempt == attempt then"
_CANCEL = "if j and j.state == RUNS then tell(batch, j.by, 'stop', id .. '|' .. j.attempt) end\n  "


def cancels_before_it_checks() -> dict[str, ScriptSource]:
    """R8: who gives a job back cancels it first, whoever runs it now, and then compares the attempt."""
    return changed("requeue", _CHECK, _CANCEL + _CHECK)


def builds_its_names(partition: int) -> dict[str, ScriptSource]:
    """R19: the names of keys are built inside the scripts, without a hash tag."""
    texts = read_texts(JOBS.folder)
    for place, family in enumerate(JOBS.kinds, 1):
        named = f"'{JOBS.prefix}{partition}:{family}'"
        texts["_partition"] = texts["_partition"].replace(f"KEYS[{place}]", named)
    assert "KEYS[" not in texts["_partition"], "all keys have a name"
    return _assembled(texts)


def changed(name: str, right: str, wrong: str) -> dict[str, ScriptSource]:
    """Return the scripts with `wrong` in place of `right` in the file `name`."""
    texts = read_texts(JOBS.folder)
    assert texts[name].count(right) == 1, f"{right} must be at one place of {name}"
    texts[name] = texts[name].replace(right, wrong)
    return _assembled(texts)


def _assembled(texts: dict[str, str]) -> dict[str, ScriptSource]:
    return {one: assemble(one, texts) for one in texts if not one.startswith("_")}
