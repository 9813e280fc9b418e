"""Planted bugs: small changes of production that one checker each must find, and a leak of a known size."""
