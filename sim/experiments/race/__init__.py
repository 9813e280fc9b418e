"""What happens when two things about a job or a node cross."""
