"""Keeps a failing seed: a folder with its options, its scenario, what was found, and the trace for Perfetto."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from sim.swarm.drawn import SIZES, draw_scenario
from sim.swarm.one_seed import SeedResult, play_seed


def again(seed: int, size: str, store: str) -> str:
    """Return the one line that plays `seed` again."""
    words = ["voxpool-sim soak", f"--seed {seed} --seeds 1", *([f"--size {size}"] if size != "small" else [])]
    return " ".join([*words, *([f"--store {store}"] if store != "memory" else [])])


def keep(result: SeedResult, size: str, store: str, folder: Path) -> Path:
    """Write the folder of a seed that failed, playing it once more for its trace, and return it."""
    place = folder / f"seed-{result.seed}"
    place.mkdir(parents=True, exist_ok=True)
    scenario = draw_scenario(result.seed, SIZES[size])
    options = {
        "seed": result.seed,
        "size": size,
        "store": store,
        "again": again(result.seed, size, store),
        "broken": result.broken,
        "trace_hash": result.trace_hash,
    }
    (place / "options.json").write_text(json.dumps(options, indent=1) + "\n", encoding="utf-8")
    text = json.dumps(msgspec.to_builtins(scenario), indent=1)
    (place / "scenario.json").write_text(text + "\n", encoding="utf-8")
    if result.error:
        (place / "error.txt").write_text(result.error, encoding="utf-8")
    with (place / "trace.json").open("w", encoding="utf-8") as trace_file:
        play_seed(result.seed, size, store, trace_file=trace_file)
    return place
