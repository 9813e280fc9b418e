"""The data of the dashboard: a snapshot a second, the fleet, and the last minutes."""
