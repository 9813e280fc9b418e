"""Nodes: the record of a connection, what comes in from nodes, and what is written about them to the store."""
