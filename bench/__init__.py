"""What `make bench` measures: one subject a module. Each has `run()` and runs alone, too (`python -m bench.table`)."""
