"""A run as a value: kept when it failed, played again, and made smaller."""
