"""How a node should be chosen."""
