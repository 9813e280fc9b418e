"""Measures whether finished jobs pile up."""
