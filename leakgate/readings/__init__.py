"""Reads a process by its pid, its metrics, its report or a file, into a series of readings."""
