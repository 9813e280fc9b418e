"""Load for a running voxpool: users that behave like clients and nodes, in processes of their own."""
