"""Tests of one class at a time, without network and wall clock."""
