"""Nodes: the record of a connection, what comes in from nodes, and what the store is told of them."""
