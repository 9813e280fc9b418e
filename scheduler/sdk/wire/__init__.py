"""The client end of a WebSocket: connections, sessions, and how both recover when one breaks."""
