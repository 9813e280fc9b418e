"""Where chance comes from: distributions, and one seed split into a sub-seed for each part of a run."""
