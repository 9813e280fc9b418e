"""One class at a time, with no network and no clock of the wall."""
