"""Tests of the simulation: its loop, its world, its checkers and their planted bugs."""
