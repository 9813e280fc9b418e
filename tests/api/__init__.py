"""The HTTP door against its own document, and nonsense at both WebSocket doors."""
