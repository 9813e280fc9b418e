"""One idea each, with real parts: the first documentation."""
