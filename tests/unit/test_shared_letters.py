"""Which messages of a partition are acknowledged, and when the stored ones are read."""

from __future__ import annotations

from voxpool.scheduler.shared.partition.calls import Said
from voxpool.scheduler.shared.partition.letters import NONE, Letters


def number(of: int) -> str:
    return f"{of:016d}"


def letter(of: int) -> str:
    return f"{number(of)}|look|"


def test_a_hint_that_overtakes_the_stored_messages_is_acknowledged_without_another_one() -> None:
    """It came after what was read, over another connection: else it stays stored until the next message."""
    letters = Letters()
    upto = letters.upto()
    assert upto == NONE
    letters.hint(number(2))  # was stored just after the reading, and handled before its answer came
    letters.read(upto, [Said.ALL, letter(1)])
    assert letters.must_read, "it is read once more"
    upto = letters.upto()
    assert upto == number(1)
    letters.read(upto, [Said.ALL, letter(2)])
    assert letters.upto() == number(2)


def test_a_hint_of_a_store_that_is_gone_is_looked_for_once() -> None:
    """Its number may be above all that the present store has."""
    letters = Letters()
    letters.begin_anew()
    letters.hint(number(900))
    for _ in range(2):
        upto = letters.upto()
        assert upto is not None
        letters.read(upto, [Said.ALL])
    assert letters.upto() is None


def test_an_acknowledgement_that_was_sent_before_a_loss_counts_for_nothing() -> None:
    """Its number may be that of the last message of the new store, which then must be acknowledged, too."""
    letters = Letters()
    letters.read(NONE, [Said.ALL, letter(2)])
    upto = letters.upto()
    assert upto == number(2)
    letters.begin_anew()  # while the call is on its way: it is repeated at the store that came back empty
    letters.read(upto, [Said.ALL])
    letters.read(letters.upto() or "", [Said.ALL])
    letters.hint(number(1))
    letters.hint(number(2))
    assert letters.upto() == number(2)
