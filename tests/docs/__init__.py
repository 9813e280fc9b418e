"""Tests of the documentation: generated parts are up to date, links have targets, snippets work."""
