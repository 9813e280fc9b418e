"""Planted bugs: small changes of production, each of which one checker must find, and a leak of known size."""
