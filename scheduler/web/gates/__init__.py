"""What stands before all doors: the outermost refusals, tokens and roles, rates of callers, and origins of pages."""
