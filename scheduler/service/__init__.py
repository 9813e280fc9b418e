"""The scheduler as a process: real clock, real store, real sockets around the core, and its orderly end."""
