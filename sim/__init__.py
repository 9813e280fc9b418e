"""Virtual time: the production objects of scheduler/ on a simulated clock, with traffic, faults and checkers."""
