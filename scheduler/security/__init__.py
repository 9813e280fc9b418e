"""Who may do what: callers and roles, tokens, and the connections that end with a token. It knows no HTTP."""
