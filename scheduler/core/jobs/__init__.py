"""Jobs: their record and states, the table of all, the queues of those that wait, and what follows a failure."""
