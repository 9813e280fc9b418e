"""Where scripts run: in this process, on a server that comes with us, or on a Redis of the user's."""
