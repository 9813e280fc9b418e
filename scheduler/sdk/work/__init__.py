"""How a worker calls the function of its user: for each job, or for a batch of them."""
