"""A user's locustfile: it sends orders to the server of foreign.py, and imports the plugin."""

from locust import HttpUser, constant_throughput, task

import voxpool.leakgate.locust_plugin  # noqa: F401


class Customer(HttpUser):
    """Orders 100 times a second."""

    wait_time = constant_throughput(100)

    @task
    def order(self) -> None:
        """Order a book."""
        self.client.get("/order")
