"""One cluster for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.cluster.servers import Cluster, cluster_of


@pytest.fixture(scope="session")
def cluster_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster_of(Path(tmp_path_factory.mktemp("cluster"))) as running:
        yield running


@pytest.fixture
def cluster(cluster_of_all: Cluster) -> Cluster:
    """The cluster: whole and empty, its primaries and slots as the last test left them."""
    cluster_of_all.heal()
    return cluster_of_all
