"""Tests of the built package, installed without a source tree."""
