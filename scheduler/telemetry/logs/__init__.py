"""Structured logs: the catalogue of events, who writes them, and the thread that carries them away."""
