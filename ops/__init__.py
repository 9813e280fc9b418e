"""The surroundings of a scheduler: alert rules, dashboard, containers, units. The Python code only writes files."""
