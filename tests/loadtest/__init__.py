"""The load tests: their pure parts, and runs of Locust against real schedulers."""
