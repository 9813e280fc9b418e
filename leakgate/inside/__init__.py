"""Imported by a server to report its memory; it only needs the standard library and msgspec."""
