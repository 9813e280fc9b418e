"""The checks before all doors: the request filter, tokens and roles, rates of callers, and origins of pages."""
