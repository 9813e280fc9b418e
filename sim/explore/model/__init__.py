"""The story that is searched: production on ends whose every step is chosen."""
