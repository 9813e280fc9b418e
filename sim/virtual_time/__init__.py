"""Virtual time: an asyncio event loop on the clock of SimPy, which refuses sockets, threads and processes."""
