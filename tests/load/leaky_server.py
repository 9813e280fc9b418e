"""A scheduler that keeps BYTES of each job that ends, with the leaking table of sim/planted/leak.py.

`python -m tests.load.leaky_server BYTES serve …` is such a `voxpool serve`; with 0 it is production's own.
"""

from __future__ import annotations

import sys
from functools import partial
from unittest.mock import patch

from voxpool.scheduler.cli import main
from voxpool.scheduler.core.composition import Core, CoreClasses
from voxpool.sim.planted.leak import leaking

if __name__ == "__main__":
    classes = CoreClasses(job_table=leaking(float(sys.argv.pop(1))))
    patch.object(Core, "build", partial(Core.build, classes=classes)).start()
    main()
