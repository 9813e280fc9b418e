"""Becomes another program that ends when its parent does. Run as: python -I guard.py PARENT_PID PROGRAM ARGUMENT…

On Linux the kernel sends it SIGKILL when the parent dies, also by SIGKILL. Elsewhere this process stays, as the
program's parent, and ends it when it is orphaned. It imports nothing of voxpool, so that it starts at once.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1
LOOK_S = 0.5


def main() -> None:
    """Guard the program named on the command line."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    platform = sys.platform
    if platform == "linux":
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != parent:  # it died before the kernel was asked
            sys.exit(1)
        os.execv(program[0], program)
    child = subprocess.Popen(program)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    while child.poll() is None:
        if os.getppid() != parent:
            child.kill()
        time.sleep(LOOK_S)
    sys.exit(child.returncode)


if __name__ == "__main__":
    main()
