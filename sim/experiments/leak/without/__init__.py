"""The behaviours that the fixes replaced."""
