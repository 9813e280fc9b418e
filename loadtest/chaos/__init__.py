"""Real processes under drawn faults, and a ledger outside of them that checks every answer."""
