"""Measures whether anything stays behind when nodes, jobs and sockets are gone."""
