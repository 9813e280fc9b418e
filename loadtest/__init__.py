"""Load tests of a running voxpool: Locust users that behave like clients and nodes."""
