"""The memory of the scheduler during a run: read, judged, drawn."""
