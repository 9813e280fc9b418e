"""The contract test of lua/jobs/ finds each bug that is planted into a script."""

from __future__ import annotations

import pytest

from tests.contract.jobs.driver import Driver, random_steps
from tests.contract.sides import MemorySide
from tests.contract.test_planted_bugs import Bug
from voxpool.scheduler.errors import ScriptFailed
from voxpool.scheduler.stores.script_sources import JOBS, ScriptSource, assemble, read_texts

STEPS = 600
SEEDS = range(1, 30)

BUGS = {
    "a job is due after its client has given it up": Bug(
        "_waiting", "math.min(tonumber(j.expires), tonumber(until_ms))", "until_ms"
    ),
    "a job of its own overtakes those that wait": Bug(
        "submit", "room == '1' and count_waiting(pair) == 0", "room == '1'"
    ),
    "a known job is entered again": Bug("submit", "if j and not anew then", "if false then"),
    "a job that failed untried stays failed": Bug("submit", "j.state == FAILED and j.attempt == j.first", "false"),
    "a job that failed after a try begins anew": Bug(
        "submit", "j.state == FAILED and j.attempt == j.first", "j.state == FAILED"
    ),
    "other audio under the same name is accepted": Bug("submit", "j.pair ~= pair or j.content ~= content", "false"),
    "the result goes to the scheduler that the client has left only": Bug(
        "submit", "clients[#clients + 1] = scheduler", ""
    ),
    "a delayed submit takes the result from the next scheduler": Bug(
        "_whole", "clients[#clients + 1] = one end", "clients = {} end"
    ),
    "attempts begin at 1 again in a new life": Bug(
        "submit", "local first = j and j.attempt or '0'", "local first = '0'"
    ),
    "the bound of jobs is one too high": Bug(
        "submit", "count(batch, 'open', 0) >= jobs_max", "count(batch, 'open', 0) > jobs_max"
    ),
    "the bound of bytes is not checked": Bug("submit", "count(batch, 'bytes', 0) + bytes > bytes_max", "false"),
    "the bound of waiting jobs is one too high": Bug("submit", "all >= waiting_max and", "all > waiting_max and"),
    "the bound of waiting jobs refuses one that starts": Bug("submit", "elseif not starts and full(", "elseif full("),
    "a preferred scheduler is not asked": Bug("submit", "and not is_wanted_by(prefer, pair)", ""),
    "a preferred scheduler is not invited first": Bug("_waiting", "wish.preferred[scheduler] and first or", ""),
    "a preferred scheduler that is dead is waited for": Bug("submit", "and (lease_of(batch, other) or 0) > now", ""),
    "a wait begins again without a counted attempt": Bug(
        "requeue",
        "counted ~= '0' and string.format('%d', now + waiting) or j.until_ms",
        "string.format('%d', now + waiting)",
    ),
    "a long outcome is repeated in messages": Bug("_ends", "#outcome > OUTCOME_MAX", "false"),
    "a name is taken from a living process": Bug("nodes", "(again == '1' or its_process ~= process)", "again == '1'"),
    "an older connection takes its name back": Bug(
        "nodes", "(again == '1' or its_process ~= process)", "its_process ~= process"
    ),
    "an older connection gives the name of a newer one back": Bug(
        "nodes", "and tonumber(its_number) <= tonumber(number)", ""
    ),
    "the last scheduler of a node is not told": Bug(
        "nodes", "tell(batch, holder, 'replaced', node .. '|' .. its_number)", ""
    ),
    "nobody asks whether a node still answers": Bug(
        "nodes", "tell(batch, holder, 'probe', node .. '|' .. its_number)", ""
    ),
    "a node that has moved is at both schedulers": Bug("nodes", "leave(batch, ENROLLED, holder .. '|' .. node)", ""),
    "the nodes of a dead scheduler stay": Bug("beat", "leave(batch, ENROLLED, entry)", ""),
    "a dead scheduler is removed with nodes left": Bug("beat", " and #its.nodes < limit", ""),
    "a declined invitation stays hungry": Bug("take", "elseif was_hungry and not is_hungry then", "elseif false then"),
    "the floor of attempts is ignored": Bug("take", "math.max(attempt, floor) + 1", "attempt + 1"),
    "who takes jobs is no member": Bug(
        "_member", "if call('ZADD', SCHEDULERS, 'NX', 0, batch.by) == 1 then", "if false then"
    ),
    "nobody is invited": Bug(
        "_waiting", "call('ZREM', HUNGRY, one[1], scheduler .. '|' .. pair)", "if true then return end"
    ),
    "an invitation to one that seems dead counts": Bug(
        "_waiting", "(lease_of(batch, scheduler) or 0) > batch.now", "true"
    ),
    "mail is written for those who are gone": Bug("_batch", "if not lease_of(batch, scheduler) then return end", ""),
    "a waiting job is never due": Bug("_waiting", "enter(batch, DUE, id, due_at(j, until_ms))", ""),
    "the audio of a job that ended is still counted": Bug("_batch", "count(batch, 'bytes', -batch.freed)", ""),
    "the place of a job that ended is not removed": Bug("finish", "leave(batch, TAKEN, by .. '|' .. id)", ""),
    "the place of a job that was given back is not removed": Bug(
        "_back", "return leave(batch, TAKEN, j.by .. '|' .. id)", "return"
    ),
    "the floor of attempts is ignored for a job that starts at once": Bug(
        "submit", "math.max(first, floor) + 1", "first + 1"
    ),
    "a result of any scheduler counts": Bug("finish", "by == scheduler and", ""),
    "a result of an old attempt counts": Bug("finish", "and its_attempt == attempt", ""),
    "a repeated result is late": Bug(
        "finish", "its_state == state and string.match(text, OUTCOME, rest) == outcome", "false"
    ),
    "an attempt that does not count is counted": Bug("requeue", "if counted ~= '0' then j.lost", "if true then j.lost"),
    "a job is tried for ever": Bug("requeue", "counted ~= '0' and not has_attempts(j)", "false"),
    "a back-off is skipped": Bug("requeue", "elseif pause ~= '0' then", "elseif false then"),
    "the node of a cancelled job goes on": Bug(
        "cancel", "if j.state == RUNS and j.by ~= scheduler then", "if false then"
    ),
    "a client that is elsewhere now loses its job": Bug("cancel", "state == GIVEN_UP and", "false and"),
    "a job is cancelled twice": Bug("cancel", "if j and FINAL[j.state] then", "if false then"),
    "the last scheduler of a claimed job is not told": Bug(
        "claim", "tell(batch, by, 'moved', id .. '|' .. attempt)", ""
    ),
    "an old attempt is claimed": Bug("claim", "and its_attempt == attempt", ""),
    "later mail is acknowledged, too": Bug("mail", "<= upto then", "~= '' then"),
    "the living are judged dead": Bug("beat", "'-inf', now, 'LIMIT'", "'-inf', LATEST, 'LIMIT'"),
    "a dead scheduler is removed with jobs left": Bug("beat", "#its.held < limit and", ""),
    "a dead scheduler stays a member": Bug("beat", "call('ZREM', SCHEDULERS, its.name)", ""),
    "what a dead scheduler had is not counted": Bug("beat", "j.lost = string.format('%d', j.lost + 1)", ""),
    "nobody looks for the invitations of a dead scheduler": Bug("beat", "tell(batch, other, 'look', '')", ""),
    "the load of a dead scheduler stays": Bug("beat", "call('HDEL', COUNTS, '@' .. its.name)", ""),
    "a load is kept in a partition that has none": Bug("beat", "if load ~= '' then", "if true then"),
    "the own load of a beat comes with the next one": Bug(
        "beat", "fields[i] = '@' .. member", "fields[i] = '@' .. (member ~= scheduler and member or '')"
    ),
    "the wishes of a dead scheduler stay": Bug("beat", "leave(batch, HUNGRY, mine)", ""),
    "one that was removed does not learn it": Bug("beat", "if not ended then tell", "if false then tell"),
    "a job that nobody wants any more waits on": Bug("due", "j.expires ~= '0' and tonumber(j.expires) <= now", "false"),
    "a pause never ends": Bug("due", "elseif j.state == RESTS then", "elseif false then"),
    "a job that began anew is swept": Bug("sweep", "FINAL[state or ''] and since == ends[i]", "state"),
    "ended jobs are kept without a bound": Bug("sweep", "and i > too_many", ""),
    "a forgotten place stays in the list": Bug("sweep", "call('LTRIM', LISTED, places, -1)", ""),
    "the list loses a job that has not ended": Bug("sweep", "if place_of(text) == oldest + i - 1 then break end", ""),
    "a job that began anew is listed twice": Bug("list", "place_of(text) == first + i - 1", "text"),
    "a list has long outcomes": Bug("list", "#text - at >= OUTCOME_MAX", "false"),
    "a list goes on where it has been": Bug("list", "first > oldest and first - 1", "first > oldest and first"),
    "a job is told that all of its pair are before it": Bug("place", "waiting_of(line, entry)", "waiting_of(line)"),
}


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS.keys())
def test_a_planted_bug_is_found(bug: Bug) -> None:
    sources = sources_with(bug)
    with pytest.raises((AssertionError, ScriptFailed)):
        for seed in SEEDS:
            driver = Driver([MemorySide(sources, JOBS)], 2_000 if seed % 2 else 0)
            for kind, number in random_steps(seed, STEPS):
                driver.step(kind, number)


def sources_with(bug: Bug) -> dict[str, ScriptSource]:
    texts = read_texts(JOBS.folder)
    assert texts[bug.name].count(bug.right) == 1, "the bug must be planted at one place"
    texts[bug.name] = texts[bug.name].replace(bug.right, bug.wrong)
    return {name: assemble(name, texts) for name in texts if not name.startswith("_")}
