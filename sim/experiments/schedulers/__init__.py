"""The experiment `schedulers`: several of them on one store."""
