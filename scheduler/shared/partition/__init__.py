"""One partition of the jobs in Redis, as one scheduler sees it: its calls, its feed, its messages and its members."""
