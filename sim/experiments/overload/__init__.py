"""The experiment `overload`: the behaviour of a pool above its capacity."""
