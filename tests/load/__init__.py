"""Load: what `locust -f loadtest/` does, from its pure parts to whole runs."""
