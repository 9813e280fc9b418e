"""The report of an experiment or a run, as text, JSON and an HTML page with charts."""
