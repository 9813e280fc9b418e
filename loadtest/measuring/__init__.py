"""Counts of the load generator's processes, and their aggregation."""
