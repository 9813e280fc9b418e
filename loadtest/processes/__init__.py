"""Processes that a load run starts."""
