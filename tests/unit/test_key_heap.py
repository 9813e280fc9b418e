"""The heap of the keys of a dict."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from voxpool.scheduler.core.clock import STALE_MAX, least, push, take_least


def test_removed_keys_are_bounded_by_the_present_ones() -> None:
    alive, heap = {10: "waits"}, [10]
    most = 0
    for key in range(1000, 1000 + 5 * STALE_MAX):
        alive[key] = "ended"
        push(heap, key, alive)
        del alive[key]
        most = max(most, len(heap))
    assert STALE_MAX < most <= 2 * 2 + STALE_MAX
    assert least(heap, alive) == 10 and take_least(heap, alive) == "waits"
    assert least(heap, alive) is None and heap == []


def test_a_heap_without_removed_keys_is_never_rebuilt() -> None:
    built = 0

    class Alive(dict[int, int]):
        def __iter__(self) -> Iterator[int]:
            nonlocal built
            built += 1
            return super().__iter__()

    alive, heap = Alive(), list[int]()
    for key in range(5 * STALE_MAX):
        alive[key] = key
        push(heap, key, alive)
    assert built == 0
    for key in range(4 * STALE_MAX):
        del alive[key]
    alive[-1] = 0
    push(heap, -1, alive)
    assert built == 1 and len(heap) == STALE_MAX + 1


@given(st.lists(st.tuples(st.sampled_from(["put", "drop", "take"]), st.integers(0, 9)), max_size=60))
def test_the_least_key_is_that_of_the_dict(steps: list[tuple[str, int]]) -> None:
    """Keys are removed and added again, like the positions of jobs."""
    alive: dict[int, int] = {}
    heap: list[int] = []
    for step, key in steps:
        if step == "put" and key not in alive:
            alive[key] = key
            push(heap, key, alive)
        elif step == "drop":
            alive.pop(key, None)
        elif step == "take" and alive:
            wanted = min(alive)
            assert take_least(heap, alive) == wanted and wanted not in alive
        assert least(heap, alive) == min(alive, default=None)
