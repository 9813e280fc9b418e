"""The search through all orders of the steps of a story: depth first, random walks, shrinking."""
