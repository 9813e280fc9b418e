"""The command `voxpool-sim`: root.py has the group, the other files what several commands share."""
