"""Calibration: measures the costs of this machine, then compares predictions of the simulation with measurements."""
