"""Failing runs: they are kept as a case, replayed, and shrunk."""
