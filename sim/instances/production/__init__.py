"""Several schedulers of production code in virtual time, with measured costs and faults of each."""
