"""The measurements of `make bench`, one subject a module.

Each module has `run()` and can be run alone (`python -m bench.table`).
"""
