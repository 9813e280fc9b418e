"""The documentation: what is generated is up to date, what is linked is there, what is shown works."""
