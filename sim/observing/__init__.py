"""Observes a run: its trace and hash, figures, entry counts, and traces for Perfetto."""
