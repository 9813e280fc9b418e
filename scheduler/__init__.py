"""The scheduler of voxpool: takes speech jobs, gives each to a worker node with room, sees each to its end."""

__version__ = "0.1.0"
