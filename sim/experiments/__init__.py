"""One experiment a question: without and with the fix, one seed, both figures, a verdict and an exit code.

Each question has a folder: question.py runs it, `without` has the behaviours that the fix replaced. These are small
models, written from the description of a behaviour; only experiments, tests and `--without ID` use them.
"""
