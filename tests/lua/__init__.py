"""The scripts of lua/, one at a time."""
