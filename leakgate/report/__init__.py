"""What a watch leaves: charts and a page."""
