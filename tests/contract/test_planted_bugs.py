"""The contract test finds each bug that is planted into a script within a few thousand steps."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.contract.driver import Driver, random_steps
from tests.contract.sides import MemorySide
from voxpool.scheduler.errors import ScriptFailed
from voxpool.scheduler.stores.script_sources import ScriptSource, assemble, read_texts

STEPS = 1_500
SEEDS = range(1, 40)
"""Most bugs are found with the first seed; the last is found by the twentieth."""
SKEW_MS = 2_000


class Bug(NamedTuple):
    """In the file `name`, `right` is replaced by `wrong`."""

    name: str
    right: str
    wrong: str


BUGS = {
    "a lapse is judged by each draw anew": Bug("_choice", "call('ZADD', LEASES, 0, node)", ""),
    "a lapsed node is drawn": Bug("_choice", "lease_end(node) <= now", "lease_end(node) < 0"),
    "a node is filled over its slots": Bug("_choice", "load >= slots", "load > slots"),
    "a draining node is drawn": Bug("_choice", "if flags ~= '' then", "if false then"),
    "a node is drawn for a pair that it does not serve": Bug(
        "_choice", "if not string.find(served, wanted, 1, true) then", "if false then"
    ),
    "a bad draw stays and nobody else is tried": Bug(
        "_choice", "stale[#stale + 1] = entry", "stale[#stale + 1] = entry size = 0"
    ),
    "a stale entry stays in the pool": Bug(
        "_choice", "if #stale > 0 then call('ZREM', CAPACITY, unpack(stale)) end", ""
    ),
    "the fuller node is taken": Bug(
        "_choice", "load * best_slots < best_load * slots", "load * best_slots > best_load * slots"
    ),
    "the load is taken without the slots": Bug("_choice", "load * best_slots < best_load * slots", "load < best_load"),
    "an avoided node is taken like any other": Bug("_choice", "if avoided[node] then", "if false then"),
    "an avoided node is not taken even when alone": Bug(
        "_choice", "return spare, spare_generation, spare_load, spare_slots", "return '', ''"
    ),
    "the preferred node is taken without room": Bug(
        "_choice", "if load then return prefer", "if true then return prefer"
    ),
    "the preferred node is not asked": Bug("_choice", "prefer ~= '' and", "false and"),
    "a node is drawn twice and another never": Bug("_choice", "moved[place] = moved[drawn] or drawn", ""),
    "the last removal is not counted": Bug("_choice", "chance.removals_left <= 0 and drawn < size", "false"),
    "AGAIN looks like nobody": Bug(
        "_choice", "spare, spare_generation = '', 'AGAIN'", "spare, spare_generation = '', ''"
    ),
    "a repeated select draws anew": Bug(
        "_select",
        "local node, generation = call('HGET', RESERVATIONS, reservation), nil",
        "local node, generation = false, nil",
    ),
    "a repeated select answers no generation": Bug(
        "_select", "generation = node_record(node) or ''", "generation = ''"
    ),
    "a full node stays in the pool": Bug("_select", "load + 1 >= slots", "load >= slots + 1"),
    "the end of a reservation is not written": Bug("_reservations", "call('ZADD', DUE, due, reservation)", ""),
    "a reservation is not fenced by its attempt": Bug(
        "_reservations", "call('HSET', RESERVATIONS, reservation, node)", ""
    ),
    "a reservation does not count as load": Bug(
        "_reservations", "call('ZADD', HELD, 0, node .. '|' .. reservation)", ""
    ),
    "a released reservation keeps its slot": Bug("_reservations", "call('ZREM', HELD, node .. '|' .. reservation)", ""),
    "a release repeats its answer": Bug("_reservations", "call('HDEL', RESERVATIONS, reservation)", ""),
    "a released reservation still expires": Bug("_reservations", "call('ZREM', DUE, reservation)", ""),
    "a node with room again stays out of the pool": Bug(
        "_reservations", "if gets_room then open(node, served) end", ""
    ),
    "a draining node comes back by a release": Bug(
        "_reservations", "generation and flags == '' and load", "generation and load"
    ),
    "reservations of a node whose name begins alike are taken": Bug(
        "_reservations", "'(' .. node .. '}'))", "'(' .. node .. '|~'))"
    ),
    "a node enters one pool only": Bug(
        "_nodes",
        "if #entries > 0 then call('ZADD', CAPACITY, unpack(entries)) end",
        "call('ZADD', CAPACITY, entries[1], entries[2])",
    ),
    "a node leaves one pool only": Bug(
        "_nodes",
        "if #entries > 0 then call('ZREM', CAPACITY, unpack(entries)) end",
        "call('ZREM', CAPACITY, entries[1])",
    ),
    "registering keeps the old pools": Bug("register_node", "  shut(node, old_served)", ""),
    "registering keeps reservations that are not named": Bug(
        "register_node", "if not named[reservation] then", "if false then"
    ),
    "registering takes over the reservation of another node": Bug(
        "register_node", "if not call('HGET', RESERVATIONS, reservation) then", "if true then"
    ),
    "a repeated register frees what was allocated since": Bug("register_node", "old_generation == generation", "false"),
    "a repeated register after a lapse stays out of the pools": Bug(
        "register_node", "if not alive and old_flags", "if false and old_flags"
    ),
    "another process takes a living name": Bug("register_node", "old_process ~= process and alive and", "false and"),
    "a lapsed name is taken for ever": Bug(
        "register_node", "old_process ~= process and alive and", "old_process ~= process and"
    ),
    "draining ends with the connection": Bug("register_node", "string.find(old_flags, 'd', 1, true)", "false"),
    "a node that rests registers into the pools": Bug(
        "register_node", "if flags == '' and load_of(node) < tonumber(slots)", "if load_of(node) < tonumber(slots)"
    ),
    "a beat shortens the lease": Bug(
        "heartbeat", "call('ZADD', LEASES, 'GT', now + lease, node)", "call('ZADD', LEASES, now + lease, node)"
    ),
    "a beat revives a lapsed node": Bug("heartbeat", "lease_end(node) <= now", "false"),
    "a beat of an old connection counts": Bug("heartbeat", "current ~= generation", "false"),
    "an old connection takes the new one offline": Bug("node_offline", "current ~= generation then", "false then"),
    "a living node is taken offline by the sweep": Bug("node_offline", "lapsed_before ~= '' and", "false and"),
    "offline leaves the pools as they are": Bug("node_offline", "  shut(node, served)", ""),
    "offline leaves the lease": Bug("node_offline", "call('ZREM', LEASES, node) == 1", "true"),
    "offline keeps the reservations": Bug("node_offline", "  free_slot(node, reservation)", ""),
    "a lease without a node stays for ever": Bug(
        "node_offline", "if not current and generation ~= '' then", "if not current then"
    ),
    "a drain of an old connection drains the new one": Bug("drain_node", "generation ~= meant", "false"),
    "draining leaves the node in the pools": Bug("drain_node", "  shut(node, served)", ""),
    "the end of a rest ends draining": Bug("drain_node", "string.gsub(flags, flag, '')", "''"),
    "the end of a rest leaves the node out": Bug("drain_node", "  open(node, served)", ""),
    "the sweep forgets one": Bug("expire_reservations", "'LIMIT', 0, limit", "'LIMIT', 0, limit - 1"),
    "a lapsed node is not listed": Bug("lapsed_nodes", "'-inf', now", "'-inf', now - 1"),
    "a member that is gone ends the batch": Bug("lapsed_nodes", "node_record(node) or ''", "node_record(node) .. ''"),
}


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS.keys())
def test_a_planted_bug_is_found(bug: Bug) -> None:
    """Two schedulers with different clocks, random calls, damage: the wrong script differs from the right one."""
    sources = _with(bug)
    with pytest.raises((AssertionError, ScriptFailed)):
        for seed in SEEDS:
            driver = Driver([MemorySide(sources)], SKEW_MS)
            for kind, number in random_steps(seed, STEPS):
                driver.step(kind, number)


def _with(bug: Bug) -> dict[str, ScriptSource]:
    texts = read_texts()
    assert texts[bug.name].count(bug.right) == 1, "the bug must be planted at one place"
    texts[bug.name] = texts[bug.name].replace(bug.right, bug.wrong)
    return {name: assemble(name, texts) for name in texts if not name.startswith("_")}
