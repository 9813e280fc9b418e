"""Every order of the steps of a short story, or as many as time allows."""
