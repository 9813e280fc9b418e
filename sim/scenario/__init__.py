"""A scenario as data, how it is read from TOML, and what it expects of its run."""
