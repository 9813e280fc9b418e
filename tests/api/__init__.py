"""Tests of the HTTP interface against its document, and of both WebSocket endpoints with invalid input."""
