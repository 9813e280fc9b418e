"""The partitions of jobs on one server, on a Redis Cluster or behind Sentinels: who has them, and the way there."""
