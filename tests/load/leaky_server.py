"""A scheduler that keeps BYTES of each job that ends, with the leaking table of sim/planted/leak.py.

`python -m tests.load.leaky_server BYTES serve …` is such a `voxpool serve`; with 0 it is production's own.
"""

from __future__ import annotations

import sys

from voxpool.scheduler.cli import main
from voxpool.sim.planted.leak import leaking
from voxpool.sim.planted.served import served_with

if __name__ == "__main__":
    with served_with(job_table=leaking(float(sys.argv.pop(1)))):
        main()
