"""Tests of the scripts of lua/, one script at a time."""
