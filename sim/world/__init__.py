"""The world of a run: nodes, clients, links, traffic and the store around the production core."""
