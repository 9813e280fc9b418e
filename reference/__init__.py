"""The reference of the documentation, generated from the source: `python -m reference` writes it into docs/.

A page is written by hand around generated blocks, so that words and tables stand where a reader wants them. A test
compares the committed pages with what is generated (tests/docs).
"""
