"""Checks that the simulation predicts this machine: measures its costs, then compares the same arrivals on both."""
