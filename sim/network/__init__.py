"""A network in virtual time: processes, links and connections in memory, for production code that uses asyncio."""
