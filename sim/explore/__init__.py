"""Explores every order of the steps of a short execution, or as many as time allows."""
