"""What runs around a scheduler: alert rules, dashboard, containers, units. The Python here only writes files."""
