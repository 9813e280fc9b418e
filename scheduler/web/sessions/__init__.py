"""Sessions of clients, /ws/session: their connections, submits, and the results that are due to them."""
