"""Containers are found in attributes, globals, classes and free-form state; bounded ones have their bound."""

from __future__ import annotations

import asyncio
import functools
import gc
import queue
import types
from collections import OrderedDict, deque

from starlette.applications import Starlette

from voxpool.leakgate.inside.tables import OBJECTS_MAX, find_tables


class Inner:
    __slots__ = ("again", "entries", "unset")

    def __init__(self, entries: dict[int, int]) -> None:
        self.entries = self.again = entries


class Holder:
    shared: dict[str, int] = {"a": 1}  # noqa: RUF012  # a leak that is common: all instances share it

    def __init__(self) -> None:
        self.shards = [{1: 1}, {2: 2, 3: 3}]
        self.again = self.shards
        self.queue = deque([1])
        self.empty: set[int] = set()
        self.ordered = OrderedDict({1: 1})
        self.inner = Inner({7: 7, 8: 8})


def test_shards_are_one_table_and_an_object_with_two_names_counts_once() -> None:
    assert find_tables({"it": Holder()}).entries == {
        "it.shards": 3,
        "it.queue": 1,
        "it.empty": 0,
        "it.ordered": 1,
        "it.inner.again": 2,
    }


def test_to_look_leaves_the_attributes_inside_of_the_object() -> None:
    """Outside of it, in its __dict__, each access to one is slow on Python 3.11 and 3.12."""
    holder = Holder()
    find_tables({"it": holder})
    assert not any(type(each) is dict and "shards" in each for each in gc.get_referents(holder))


def test_an_attribute_that_no_method_of_its_class_names_is_found() -> None:
    holder = Holder()
    holder.extra = {1: 1}  # type: ignore[attr-defined]
    setattr(holder, "".join(("sha", "red")), {1: 1, 2: 2})
    assert find_tables({"it": holder}).entries["it.extra"] == 1
    assert find_tables({"it": holder}).entries["it.shared"] == 2


def test_with_packages_only_their_objects_are_searched() -> None:
    assert "it.inner.again" not in find_tables({"it": Holder()}, ["another"]).entries
    assert "it.inner.again" in find_tables({"it": Holder()}, ["another", "tests.leakgate"]).entries
    assert "it.inner.again" not in find_tables({"it": Holder()}, ["tests.leak"]).entries


def test_a_module_as_a_root_has_its_globals_and_the_tables_of_its_classes() -> None:
    module = types.ModuleType("shop")
    module.ORDERS = [1, 2, 3]  # type: ignore[attr-defined]
    module.Basket = type("Basket", (), {"__module__": "shop", "all": {1: 1}})  # type: ignore[attr-defined]
    module.asyncio = asyncio  # type: ignore[attr-defined]
    assert find_tables({"shop": module}).entries == {"shop.ORDERS": 3, "shop.Basket.all": 1}


def test_bounded_containers_have_their_bound() -> None:
    @functools.lru_cache(maxsize=50)
    def double(number: int) -> int:
        return 2 * number

    for number in range(7):
        double(number)
    waiting: queue.Queue[int] = queue.Queue(9)
    waiting.put(1)
    roots = {"recent": deque([1], maxlen=4), "double": double, "waiting": waiting, "free": asyncio.Queue()}
    found = find_tables(roots)
    assert found.entries == {"recent": 1, "double": 7, "waiting": 1, "free": 0}
    assert found.bounds == {"recent": 4, "double": 50, "waiting": 9}


def test_the_state_of_an_application_is_searched() -> None:
    """Starlette keeps it in one dict of its State, which answers for unknown names."""
    app = Starlette()
    app.state.cache = {"a": 1, "b": 2}
    app.state.holder = Holder()
    entries = find_tables({"app": app}).entries
    assert entries["app.state.cache"] == 2 and entries["app.state.holder.shards"] == 3


def test_a_proxy_without_its_object_does_no_harm() -> None:
    class Proxy:
        @property  # type: ignore[misc]
        def __class__(self) -> type:
            raise RuntimeError("outside of a request")

        def __getattr__(self, name: str) -> object:
            raise RuntimeError("outside of a request")

    assert find_tables({"it": types.SimpleNamespace(proxy=Proxy(), table=[1])}).entries == {"it.table": 1}


def test_a_chain_of_objects_ends_at_the_bound() -> None:
    class Link:
        def __init__(self, further: object) -> None:
            self.further = further
            self.table = [1]

    chain = Link(None)
    for _ in range(2 * OBJECTS_MAX):
        chain = Link(chain)
    assert len(find_tables({"it": chain}).entries) <= OBJECTS_MAX
