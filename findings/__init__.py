"""Runs the experiments and writes their findings into docs/findings.md: one line for each defect."""
