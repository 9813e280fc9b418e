"""The search over orders of steps, on toy stories with known answers."""
