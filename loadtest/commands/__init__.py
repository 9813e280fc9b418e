"""The command `loadtest`: what is done with load tests beside running one."""
