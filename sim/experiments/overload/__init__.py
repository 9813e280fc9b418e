"""What a pool does with more jobs than it can do."""
