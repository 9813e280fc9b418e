"""What decides: jobs, nodes and the calls to the store, on the seams of seams.py. composition.py puts it together."""
