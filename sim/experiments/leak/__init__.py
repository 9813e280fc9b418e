"""Whether finished jobs pile up."""
