"""Tests of the library that judges any server; nothing of voxpool is under test here."""
