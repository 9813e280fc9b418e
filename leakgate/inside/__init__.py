"""What a server imports so that it can be read from inside: the standard library and msgspec are all it needs."""
