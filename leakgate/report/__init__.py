"""The report of a watch: charts and a page."""
