"""How addresses of more than one server are read."""

from __future__ import annotations

import pytest

from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.stores.cluster.addresses import Host, address_of
from voxpool.scheduler.stores.cluster.job_stores import JobStores


def test_an_address_is_read_and_makes_urls() -> None:
    cluster = address_of("rediss+cluster://me:s%40@a:1,[::1]:2,c?ssl_ca_certs=/x")
    assert cluster.hosts == (Host("a", 1), Host("::1", 2), Host("c", 6379))
    assert cluster.url_of(Host("::1", 2)) == "rediss://me:s%40@[::1]:2/0?ssl_ca_certs=%2Fx"
    sentinels = address_of("redis+sentinel://:pw@a,b:3/main/7?sentinel_password=guard&client_name=x")
    assert sentinels.hosts == (Host("a", 26379), Host("b", 3)) and sentinels.name == "main"
    assert sentinels.url_of(Host("p", 1)) == "redis://:pw@p:1/7?client_name=x"
    assert sentinels.sentinel_url(Host("a", 26379)) == "redis://:guard@a:26379?client_name=x"
    assert address_of("redis://h/0").hosts == ()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis+cluster://a:x", "is no HOST:PORT"),
        ("redis+cluster://a:99999", "is no HOST:PORT"),
        ("redis+cluster://a,", "is no HOST:PORT"),
        ("redis+cluster://a/1", "a cluster has no databases"),
        ("redis+sentinel://me:secret@a:1", "the name of the primary is missing"),
        ("redis+sentinel://a/main/x", "no number of a database"),
        ("redis+proxy://a", "it can't be read"),
    ],
)
def test_an_address_that_is_none_is_refused_without_its_password(url: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=rf"{reason}.*redis\+cluster://HOST:PORT") as refused:
        JobStores(url, 1)
    assert "secret" not in str(refused.value)
