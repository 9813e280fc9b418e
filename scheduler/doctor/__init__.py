"""Finds what is wrong with a scheduler, running or about to run: each finding has a description and a remedy."""
