"""The whole stack in virtual time: serve(), its endpoints and the SDK run unchanged over a network in memory."""
