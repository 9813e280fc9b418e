"""Misbehaving clients and nodes."""
