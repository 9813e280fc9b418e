"""Judges a series of readings, checks the evidence, and measures the error rates of the judge."""
