"""Tests of what `voxpool-sim calibrate` makes of its measurements."""
