"""Every store gives the same answers to the same sequence of calls."""
