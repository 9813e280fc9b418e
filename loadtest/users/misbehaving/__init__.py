"""Clients and nodes that do everything wrong."""
