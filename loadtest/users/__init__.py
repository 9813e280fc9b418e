"""The users of a load run: their jobs, arrival times, connections and expected results."""
