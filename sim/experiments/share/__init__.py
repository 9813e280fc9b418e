"""The experiment `share`: who gets a pool that is too small for all, by the order of the waiting jobs."""
