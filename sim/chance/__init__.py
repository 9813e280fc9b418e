"""Randomness of a run: distributions, and the seed split into a sub-seed for each part of a run."""
