"""Does the simulation predict this machine? What it costs is measured, then the same arrivals are lived and played."""
