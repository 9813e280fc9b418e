"""Whether a new job is accepted, how long it would wait, and when a refused one should come again."""
