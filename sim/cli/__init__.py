"""The command `voxpool-sim`: root.py defines the group, the other files are shared by its commands."""
