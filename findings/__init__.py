"""Runs the experiments and writes what they found into README.md: one line for each row of the catalogue."""
