"""Runs the experiments and writes what they found into docs/findings.md: one line for each defect."""
