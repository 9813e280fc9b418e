"""Jobs in Redis, shared by several schedulers: the setting jobs = redis."""
