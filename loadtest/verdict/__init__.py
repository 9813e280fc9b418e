"""From what was measured to checks, a verdict and an exit code."""
