"""What the dashboard shows: a snapshot a second, the fleet, and the last minutes."""
