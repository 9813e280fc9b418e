"""Turns the measurements of a run into checks, a verdict and an exit code."""
