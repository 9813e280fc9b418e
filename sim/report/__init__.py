"""What an experiment found, as text, JSON and a page with pictures."""
