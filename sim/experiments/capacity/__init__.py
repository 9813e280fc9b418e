"""How many nodes a rate of jobs needs."""
