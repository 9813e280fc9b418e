"""Virtual time: the production objects of scheduler/ on a simulated clock; traffic, faults and checkers."""
