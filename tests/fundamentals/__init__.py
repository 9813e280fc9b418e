"""Introductory tests: a file for each topic, and in each test one thing that a user can rely on."""
