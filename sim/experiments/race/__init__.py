"""The experiment `race`: concurrent events of a job or a node."""
