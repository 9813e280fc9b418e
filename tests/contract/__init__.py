"""Every store answers every sequence of calls in the same way."""
