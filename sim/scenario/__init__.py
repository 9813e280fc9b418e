"""Scenarios as data: reading them from TOML, and their expectations."""
