"""Experiments: each answers a question by runs without and with a fix, from one seed, with a verdict and exit code.

Each experiment has a folder: question.py runs it, `without` has the behaviours that the fix replaced. These are small
models, written from the description of a behaviour; only experiments, tests and `--without ID` use them.
"""
