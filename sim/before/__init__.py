"""How it was done before: small models of the behaviours that a fix replaced, for the 'without' side only.

Only experiments, tests and `--without ROW` of the commands use them. Each is written from the description of a
behaviour, names the row of the catalogue that it belongs to, and reproduces that behaviour, not the code that once had
it.
"""
