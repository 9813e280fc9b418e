"""Rules that the source keeps, each proven by planting a violation."""
