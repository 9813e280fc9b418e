"""The search over orders of steps, on toy executions with known answers."""
