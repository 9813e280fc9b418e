"""Where the data about nodes and slots lives: in this process, on a Redis server, or on a Valkey that comes with us."""
