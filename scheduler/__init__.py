"""The scheduler of voxpool: takes speech jobs, gives each to a worker node that has room, and sees every one to its end."""

__version__ = "0.1.0"
