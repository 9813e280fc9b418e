"""The search through all orders of the steps of an execution: depth first, random walks, shrinking."""
