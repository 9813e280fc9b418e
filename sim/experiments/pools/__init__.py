"""Measures whether a node is found when there is one, fairly and at a bounded cost."""
