"""The costs of a machine in these experiments: round ones, as none of their figures is a price."""

from __future__ import annotations

from voxpool.sim.instances.costs import SharedCosts

ROUND = SharedCosts(
    machine="round figures",
    own_us={"1": 100.0, "16": 20.0, "256": 17.0},
    elsewhere_us={"1": 250.0, "16": 45.0, "256": 34.0},
    audio_own_us=4.0,
    audio_elsewhere_us=4.0,
    record_bytes=300.0,
    memory_us=100.0,
    scheduler_us=200.0,
    both_us=400.0,
)
