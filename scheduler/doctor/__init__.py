"""Finds what is wrong with a scheduler, running or about to run: each finding says what it is and what to do."""
