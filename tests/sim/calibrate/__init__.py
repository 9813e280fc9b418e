"""Tests of the conclusions that `voxpool-sim calibrate` draws from its measurements."""
