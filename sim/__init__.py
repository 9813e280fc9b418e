"""The simulation: the production objects of scheduler/ in virtual time, with traffic, faults and checkers."""
