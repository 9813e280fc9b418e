"""Jobs in Redis, shared by several schedulers. So far the data model: the calls of lua/jobs/ and their answers."""
