"""What the processes of the load generator count, and how it is put together."""
