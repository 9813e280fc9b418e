"""Connections with bounds: HTTP and WebSockets of uvicorn, and what each peer may cost. It knows no jobs."""
