"""Mutation testing: small bugs are planted one at a time, and the tests must notice them (`make mutants`)."""
