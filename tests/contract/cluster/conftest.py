"""A cluster for the tests; while one is in use, the next is started, since that takes two seconds."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.contract.cluster.servers import Cluster


class Clusters:
    """One cluster after the other."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self._factory = factory
        self._starter = ThreadPoolExecutor(1)
        self._current = self._start().result()
        self._next = self._start()

    def get(self) -> Cluster:
        """Return one that is whole and empty: that of the last test, unless nodes were killed, cut or promoted."""
        if self._current.is_changed:
            self._current.close()
            self._current = self._next.result()
            self._next = self._start()
        self._current.clear()
        return self._current

    def close(self) -> None:
        """End all servers."""
        self._current.close()
        self._next.result().close()
        self._starter.shutdown()

    def _start(self) -> Future[Cluster]:
        cluster = Cluster(self._factory.mktemp("cluster"))
        return self._starter.submit(cluster.start)


@pytest.fixture(scope="session")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clusters]:
    several = Clusters(tmp_path_factory)
    yield several
    several.close()


@pytest.fixture
def cluster(clusters: Clusters) -> Cluster:
    """A cluster that is whole and empty; its slots are as the last test left them."""
    return clusters.get()
