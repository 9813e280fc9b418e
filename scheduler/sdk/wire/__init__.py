"""The client end of a WebSocket: connections, sessions, and what both need when one breaks."""
