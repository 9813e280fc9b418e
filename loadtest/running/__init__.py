"""The life of a run from its options to its exit code: preparation, watching, and the end."""
