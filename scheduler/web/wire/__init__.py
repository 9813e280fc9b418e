"""Connections with bounds: HTTP and WebSockets of uvicorn, with a limit on the cost of each peer. It knows no jobs."""
