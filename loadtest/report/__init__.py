"""What a run leaves: report.json and report.html."""
