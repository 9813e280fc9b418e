"""For which pairs a scheduler asks the store for jobs, and which of its messages it acknowledges."""

from __future__ import annotations

from voxpool.scheduler.shared.partition.hunger import TAKE_MAX, Hunger
from voxpool.scheduler.shared.partition.letters import NONE, Letters

PAIR = "zh:en"


def room(pair: str) -> bool:
    return True


def no_room(pair: str) -> bool:
    return False


def hunger() -> Hunger:
    one = Hunger()
    one.served(PAIR)
    return one


def test_a_free_slot_is_asked_for_once_until_an_invitation_comes() -> None:
    one = hunger()
    assert one.wants(no_room) == [] and one.wants(room) == [PAIR]
    assert one.ask(PAIR) == 1 and one.wants(room) == []
    one.answered(PAIR, want=1, got=0, has_room=True)
    assert one.wants(room) == [], "the store knows of it"
    one.invited(PAIR)
    assert one.wants(room) == [PAIR] and one.ask(PAIR) == TAKE_MAX


def test_an_invitation_is_declined_without_room() -> None:
    """Else it would end here: the store passes it on to the next one."""
    one = hunger()
    one.invited(PAIR)
    assert one.wants(no_room) == [PAIR]
    one.ask(PAIR)
    one.answered(PAIR, want=0, got=0, has_room=False)
    assert one.wants(no_room) == [] and one.wants(room) == [PAIR]


def test_an_invitation_that_crosses_an_answer_is_followed() -> None:
    one = hunger()
    one.ask(PAIR)
    one.invited(PAIR)
    one.answered(PAIR, want=1, got=0, has_room=True)
    assert one.wants(room) == [PAIR]


def test_an_answer_that_is_older_than_a_doubt_does_not_make_hungry() -> None:
    """The store removed the wish of a scheduler that was judged dead; the answer to its last question came later."""
    one = hunger()
    one.ask(PAIR)
    one.forget()
    one.answered(PAIR, want=1, got=0, has_room=True)
    assert one.wants(room) == [PAIR], "a slot would be idle beside a waiting job"


def test_all_that_a_question_brought_makes_ask_for_more() -> None:
    one = hunger()
    one.ask(PAIR)
    one.answered(PAIR, want=1, got=1, has_room=True)
    assert one.ask(PAIR) == TAKE_MAX


def number(n: int) -> str:
    return f"{n:016d}"


def test_hints_count_only_after_the_stored_messages_were_read() -> None:
    letters = Letters()
    letters.hint(number(7))
    assert letters.handled == NONE
    upto = letters.upto()
    assert upto == NONE
    found = letters.read(upto, ["ALL", f"{number(3)}|look|"])
    assert [mail.kind for mail in found] == ["look"] and letters.handled == number(3)
    again = letters.upto()
    assert again == number(3), "what came meanwhile is read once more"
    letters.read(again, ["ALL", f"{number(7)}|look|"])
    letters.hint(number(9))
    assert letters.upto() == number(9)


def test_a_break_during_the_reading_keeps_the_gap() -> None:
    letters = Letters()
    upto = letters.upto()
    assert upto is not None
    letters.broke()
    letters.read(upto, ["ALL"])
    letters.hint(number(5))
    assert letters.handled == NONE and letters.must_read


def test_what_is_acknowledged_is_acknowledged_once() -> None:
    letters = Letters()
    first = letters.upto()
    assert first is not None
    letters.read(first, ["ALL", f"{number(2)}|born|"])
    again = letters.upto()
    assert again == number(2)
    letters.read(again, ["ALL"])
    assert letters.upto() is None


def test_a_long_mail_is_read_in_parts() -> None:
    letters = Letters()
    first = letters.upto()
    assert first is not None
    letters.read(first, ["MORE", f"{number(2)}|born|"])
    assert letters.must_read and letters.upto() == number(2)
