"""The experiment `policy`: how a node is chosen."""
