"""Tests of the load: `locust -f loadtest/`, from its pure parts to complete runs."""
