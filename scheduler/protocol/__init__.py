"""The protocol of clients and nodes: its messages, their encodings, and the order in which results are given."""
