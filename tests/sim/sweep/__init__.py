"""Sweeps: the record, the child process, the values, and a real Dask cluster."""
