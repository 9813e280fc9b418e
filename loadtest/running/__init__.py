"""A run from its options to its exit code: what stands before it, beside it and at its end."""
