"""The command `leakgate`."""
