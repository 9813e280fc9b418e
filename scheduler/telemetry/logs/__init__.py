"""Structured logs: the catalogue of events, their observer, and the thread that writes them."""
