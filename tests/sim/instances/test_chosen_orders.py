"""Orders of steps that drawn ones reach too seldom, chosen by hand; each with the bug that it excludes."""

from __future__ import annotations

import pytest

from voxpool.scheduler.shared.partition.calls import Bounds, Mail, Record
from voxpool.scheduler.shared.partition.feed import Feed
from voxpool.scheduler.shared.partition.totals import Totals
from voxpool.sim.instances.desk_parts import Node
from voxpool.sim.instances.ends import Link
from voxpool.sim.instances.planted import script_bug
from voxpool.sim.instances.scheduler import LEASE_MS, Scheduler, SkewedClock, SteppedFeed
from voxpool.sim.instances.store import PartitionStore
from voxpool.sim.instances.world import PRODUCTION, Parts

PAIR = "zh:en"


class Two:
    """Schedulers a and b on one partition; a client is at a."""

    def __init__(self, feed: type[Feed] = SteppedFeed, parts: Parts = PRODUCTION) -> None:
        self.now_ms = 1_000_000
        self.store = PartitionStore(0, parts.sources)
        self._feed = feed
        self.client = Link()
        self.a, self.b = self.scheduler("a"), self.scheduler("b")

    def scheduler(self, name: str) -> Scheduler:
        """Start one."""
        clock = SkewedClock(lambda: self.now_ms, 0)
        scheduler = Scheduler(name, [self.store], clock, 10**7, self._feed)
        self.flush(scheduler)
        self.hint(scheduler)
        return scheduler

    def flush(self, scheduler: Scheduler, loses_answer: bool = False) -> None:
        """Let a scheduler do all that it has to do, without hints."""
        (partition,) = scheduler.partitions
        for _ in range(20):
            if not partition.wants_flush(self.now_ms):
                return
            partition.begin()
            partition.commit(100)
            if loses_answer:
                loses_answer = False
                partition.lose()
                partition.commit(100)
            partition.answer()
        raise AssertionError("it never rests")

    def hint(self, scheduler: Scheduler) -> None:
        """Deliver the hints for a scheduler."""
        (partition,) = scheduler.partitions
        hints = self.store.hints.get(scheduler.name)
        while hints:
            partition.feed.hinted(hints.popleft())

    def node(self, scheduler: Scheduler, *running: tuple[str, int], name: str = "n") -> tuple[Node, Link]:
        """A node comes."""
        link = Link()
        node = Node(name, [PAIR], 1, link)
        scheduler.desk.node_came(node, running, [0])
        return node, link

    def submit(self) -> None:
        """The client asks a for a job."""
        self.a.desk.submit(0, "r", PAIR, b"audio", self.client)

    @property
    def end(self) -> str:
        """What the client has got in the end."""
        return "".join(message[2] for message in self.client.messages if message[0] == "ended")


def test_one_that_was_removed_learns_it_though_the_answer_was_lost() -> None:
    """A result was written to nobody then; the repeated beat says OK. The mail `born` makes it ask again."""
    assert _ended_after_a_lost_new(SteppedFeed) == "c"


def test_without_born_the_client_would_wait_for_ever() -> None:
    class IgnoresBorn(SteppedFeed):
        def _handle(self, mail: Mail) -> None:
            if mail.kind != "born":
                super()._handle(mail)

    assert _ended_after_a_lost_new(IgnoresBorn) == ""


def _ended_after_a_lost_new(feed: type[Feed]) -> str:
    two = Two(feed)
    two.submit()
    two.flush(two.a)
    node, link = two.node(two.b)
    two.flush(two.b)
    assert link.messages[0][:3] == ("assign", "0.r", "1")
    two.now_ms += LEASE_MS + 1
    two.flush(two.b)
    assert two.store.members("schedulers") == ["b"], "a was judged dead"
    two.b.desk.node_answered(node, "0.r", 1, "c", "out")
    two.flush(two.b)
    assert not [mail for mail in two.store.members("mail") if mail.startswith("a|")], "a gets no mail"
    two.flush(two.a, loses_answer=True)
    two.hint(two.a)
    two.flush(two.a)
    return two.end


@pytest.mark.parametrize(("trusts", "ends"), [(False, "c"), (True, "")])
def test_moved_may_be_older_than_a_claim(trusts: bool, ends: str) -> None:
    """A node goes from a to b and back, and the message about the first move comes last."""

    class TrustsMoved(SteppedFeed):
        def _handle(self, mail: Mail) -> None:
            if mail.kind == "moved":
                self._stop_came(mail.rest)
            else:
                super()._handle(mail)

    two = Two(TrustsMoved if trusts else SteppedFeed)
    two.node(two.a)
    two.submit()
    two.flush(two.a)
    two.node(two.b, ("0.r", 1))
    two.flush(two.b)
    node, _ = two.node(two.a, ("0.r", 1))
    two.flush(two.a)
    two.hint(two.a)  # moved, of the claim by b
    two.flush(two.a)
    two.a.desk.node_answered(node, "0.r", 1, "c", "out")
    two.flush(two.a)
    assert two.end == ends


LAST_SUBMIT_WINS = script_bug("_whole", "clients[#clients + 1] = one end", "clients = {} end")


@pytest.mark.parametrize(("parts", "ends"), [(PRODUCTION, "c"), (LAST_SUBMIT_WINS, "")], ids=["all", "last"])
def test_a_delayed_submit_does_not_take_the_result(parts: Parts, ends: str) -> None:
    """A client leaves a, whose submit is on its way, for b; that submit arrives after b's, and a dies."""
    two = Two(parts=parts)
    two.submit()
    (partition,) = two.a.partitions
    partition.begin()
    two.a.desk.client_left(two.client)
    two.b.desk.submit(0, "r", PAIR, b"audio", two.client)
    two.flush(two.b)
    partition.commit(100)  # and its process dies
    other = two.scheduler("c")
    node, _ = two.node(other)
    two.flush(other)
    two.flush(other)
    other.desk.node_answered(node, "0.r", 1, "c", "out")
    two.flush(other)
    two.hint(two.b)
    assert two.end == ends


@pytest.mark.parametrize(("looks", "jobs"), [(True, 1), (False, 0)])
def test_an_invitation_that_dies_with_a_scheduler_is_made_up_for(looks: bool, jobs: int) -> None:
    class LooksOnlyWhenInvited(SteppedFeed):
        def _handle(self, mail: Mail) -> None:
            if mail.kind != "look":
                super()._handle(mail)

    two = Two(SteppedFeed if looks else LooksOnlyWhenInvited)
    two.node(two.b)
    two.flush(two.b)  # it is hungry, and will be invited
    other = two.scheduler("c")
    _, link = two.node(other, name="m")
    two.flush(other)
    two.submit()
    two.flush(two.a)
    assert [mail.split("|")[0] for mail in two.store.members("mail") if "come" in mail] == ["b"]
    two.now_ms += LEASE_MS // 2
    for scheduler in (two.a, other):
        two.flush(scheduler)
    two.now_ms += LEASE_MS // 2 + 1
    for scheduler in (two.a, other):
        two.flush(scheduler)
        two.hint(scheduler)
        two.flush(scheduler)
    assert "b" not in two.store.members("schedulers")
    two.hint(other)
    two.flush(other)
    two.flush(other)
    assert len(link.messages) == jobs


def test_a_record_that_outlives_its_audio_waits_for_it() -> None:
    """The audio is lost with other writes; the client's scheduler brings it again, and the job runs."""
    two = Two()
    two.submit()
    two.flush(two.a)
    two.store.audio.clear()
    _, link = two.node(two.b)
    two.flush(two.b)
    assert not link.messages, "an empty audio is never sent"
    two.a.partitions[0].feed.ask_again()
    two.flush(two.a)
    two.now_ms += 2_000
    two.flush(two.b)
    two.hint(two.b)
    two.flush(two.b)
    assert [message[0] for message in link.messages] == ["assign"] and link.messages[0][4] == "audio"


def test_a_job_without_audio_fails_in_the_end() -> None:
    """Its client's scheduler has died; what nobody has any more is not tried for ever."""
    two = Two()
    two.submit()
    two.flush(two.a)
    two.store.audio.clear()
    two.node(two.b)
    for _ in range(30):
        two.now_ms += 500
        two.flush(two.b)
        two.hint(two.b)
    assert [text for _, text in two.store.dump()["records"] if text.endswith("attempts_max|audio_lost")]


@pytest.mark.parametrize(("keeps_numbers", "ends"), [(False, "c"), (True, "")])
def test_numbers_of_messages_begin_anew_after_lost_writes(keeps_numbers: bool, ends: str) -> None:
    """They are smaller then; who acknowledged the old ones would remove new ones unread."""

    class KeepsNumbers(SteppedFeed):
        def store_restarted(self) -> None:
            handled = self.letters.handled
            super().store_restarted()
            self.letters.handled = handled

    two = Two(KeepsNumbers if keeps_numbers else SteppedFeed)
    two.store.save()
    for _ in range(3):
        two.now_ms += LEASE_MS + 1
        for scheduler in (two.b, two.a, two.b):  # they bury each other: messages with high numbers
            two.flush(scheduler)
            two.hint(scheduler)
            two.flush(scheduler)
    two.store.lose_writes()
    for scheduler in (two.a, two.b):
        scheduler.partitions[0].feed.subscribed()
        two.now_ms += LEASE_MS // 3
        two.flush(scheduler)
    node, _ = two.node(two.b)
    two.submit()
    for scheduler in (two.a, two.b):
        two.flush(scheduler)
        two.hint(scheduler)
    two.flush(two.b)
    two.b.desk.node_answered(node, "0.r", node.holds["0.r"], "c", "out")
    two.flush(two.b)
    two.store.hints.clear()  # the subscription of a breaks
    two.a.partitions[0].feed.subscribed()
    two.flush(two.a)
    assert two.end == ends


def test_a_cancel_before_the_submit_was_sent_is_an_end() -> None:
    two = Two()
    two.submit()
    two.a.desk.cancel(0, "r")
    two.flush(two.a)
    assert two.end == "x"


@pytest.mark.parametrize("accepted", [False, True])
def test_only_a_new_job_is_refused_for_want_of_room(accepted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was accepted, and that the store has lost, is asked for until there is room."""
    two = Two()
    feed = two.a.partitions[0].feed
    if accepted:
        two.store.save()
        two.submit()
        two.flush(two.a)
        two.store.lose_writes()
        feed.subscribed()
    monkeypatch.setattr(feed, "totals", Totals(Bounds(0, 10**9, 10)))
    if not accepted:
        two.submit()
    two.flush(two.a)
    two.flush(two.a)
    assert two.end == ("" if accepted else "r")
    monkeypatch.setattr(feed, "totals", Totals(Bounds(10, 10**9, 10)))
    two.now_ms += 1_000
    two.flush(two.a)
    two.flush(two.a)
    assert two.store.members("records") == (["0.r"] if accepted else [])


def test_a_flush_begins_with_a_beat_when_one_is_due() -> None:
    """A job that is taken without a lease is adopted by the next beat of another scheduler."""
    two = Two()
    two.node(two.a)
    two.submit()
    two.now_ms += LEASE_MS + 1
    (partition,) = two.a.partitions
    partition.begin()
    assert partition.flush is not None and partition.flush.calls[0].name == "beat"


def test_a_claim_of_a_later_attempt_ends_the_earlier_one_here() -> None:
    """After lost writes a job may run at two nodes of one scheduler; the node of the earlier attempt drops it."""
    two = Two()
    earlier, link = two.node(two.a)
    two.submit()
    two.flush(two.a)
    later, _ = two.node(two.a, name="m")
    later.holds["0.r"] = 5
    later.used = 1
    record = Record("t", "a", 5, "a", 0, 0, "0", "", 0, PAIR, 1, 0, 0, 4, "", "", "audio", "")
    two.a.desk.claimed("0.r", 5, later, record)
    assert link.messages[-1] == ("cancel", "0.r", "1") and earlier.holds == {} and earlier.used == 0
    two.a.desk.node_answered(earlier, "0.r", 1, "c", "out")
    assert earlier.early == {} and two.a.desk.has("0.r", 5)
