"""The core decides about jobs and nodes, and calls the store through seams.py; composition.py builds it."""
