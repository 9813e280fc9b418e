"""Simulators and explorers by other authors on our questions (docs/reports/second-opinion.md)."""
