"""Jobs in Redis, shared by several schedulers: the feed of a partition. Used by `--jobs redis`, which is under way."""
