"""The searched execution: production with store, links, workers and clients whose every step is chosen."""
