"""Reads a process: from outside by its pid, from its metrics, from its report, or from a file; and the series of it."""
