"""The behaviours that the fixes of this experiment replaced."""
