"""A watch of a running process, and when it ends."""
