"""The execution that is searched: production on ends whose every step is chosen."""
