"""What an error of a Redis-like server means, and what follows from it; one table for scripts, claim and queries.

| meaning   | what happened                                          | what follows                                  |
|-----------|--------------------------------------------------------|-----------------------------------------------|
| broken    | an error was raised inside our own script              | ScriptFailed: the process ends                |
| lost_data | the server knows none of our scripts                   | they are loaded, a restart; the rest is sent   |
| topology  | another server has the data: a failover, a cluster     | all connections are made anew, then as not_now |
| taken     | our keys hold data of another program                   | as not_now; nothing of theirs is deleted      |
| not_now   | the server, its proxy or the way to it can't serve now | repeated until it can                         |
| unknown   | none of these                                          | as not_now                                    |

What is repeated is logged once with its text, counted (voxpool_store_failures_total), shown by /readyz and the doctor
while it lasts, and never given up by itself: jobs that run go on, and their results count. The jobs that wait are given
up when it has lasted for `store_patience_s`. Another scheduler's name under the claim (claim.py) is the one answer that
stops the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

from redis import exceptions

from voxpool.scheduler.errors import StoreUnavailable
from voxpool.scheduler.stores.meanings import BROKEN, LOST_DATA, NOT_NOW, TAKEN, TOPOLOGY, UNKNOWN

CONNECT_TIMEOUT_S = 2.0

CODES = {
    "NOSCRIPT": LOST_DATA,
    "WRONGTYPE": TAKEN,
    # Redis and Valkey that became replicas, clusters that move slots, Sentinels that were used as a server.
    **dict.fromkeys(("READONLY", "MASTERDOWN", "MOVED", "ASK", "REDIRECT", "CLUSTERDOWN", "CROSSSLOT"), TOPOLOGY),
    **dict.fromkeys(("IDONTKNOW", "INPROG", "NOGOODSLAVE", "NOGOODPRIMARY", "NOQUORUM", "NOMASTERLINK"), TOPOLOGY),
    # Busy, full, starting, not allowed: by an administrator's hand or by itself it passes.
    **dict.fromkeys(("BUSY", "LOADING", "MISCONF", "NOREPLICAS", "OOM", "TRYAGAIN", "UNBLOCKED", "IOERR"), NOT_NOW),
    **dict.fromkeys(("UNKILLABLE", "NOTBUSY", "EXECABORT"), NOT_NOW),
    **dict.fromkeys(("NOPERM", "NOAUTH", "WRONGPASS", "DENIED", "NOPROTO"), NOT_NOW),
}
"""The first word of an answer -> what it means."""

TEXTS = (
    # Inside a script, and not its fault: rights, a command that the server does not have, a hand that stopped it.
    (r"ACL failure in script", NOT_NOW),
    (r"nknown (Redis )?command called from script", NOT_NOW),
    (r"[Ss]cript killed by user", NOT_NOW),
    # Redis 7, 8 and Valkey end an error of a script with "script: SHA, on @user_script:LINE.", Valkey without the SHA.
    (r"@?user_script: ?\d+", BROKEN),
    (r"Error compiling script", BROKEN),
    # Envoy, which sends them without a code; twemproxy, which sends strerror() of its own connection.
    (r"no upstream host|upstream failure|upstream protocol error|invalid request", NOT_NOW),
    (r"Connection (timed out|refused|reset by peer)|Host is down|No route to host|Broken pipe", NOT_NOW),
    (r"max number of clients|unknown command|protected mode", NOT_NOW),
)
"""Text in an answer whose first word is unspecific (ERR) -> what it means; the first match counts."""

FAULTS = (exceptions.RedisError, OSError, ValueError)
"""The errors of a query to a server, by it or on the way; ValueError: the answer can't be decoded or parsed."""

_ADVICE = {
    TAKEN: "; these keys hold data of another program: move those, or give voxpool a database of its own",
    TOPOLOGY: "; the address is resolved again",
    UNKNOWN: "; voxpool does not know this answer and asks again",
}


def text_of(error: Exception) -> str:
    """Return an answer as the server wrote it: redis-py cuts off the first words that it knows."""
    code = getattr(error, "status_code", None)
    text = str(error)
    return f"{code} {text}" if code and not text.startswith(code) else text or type(error).__name__


def meaning_of(error: Exception) -> str:
    """Return what `error`, an answer of the server or a failure on the way to it, means."""
    if not isinstance(error, exceptions.ResponseError):
        return NOT_NOW
    text = text_of(error)
    code = text.partition(" ")[0]
    if code in CODES:
        return CODES[code]
    for pattern, meaning in TEXTS:
        # A code of its own inside a script is an answer of the server to a command, whatever it means.
        if re.search(pattern, text) and (meaning != BROKEN or code == "ERR" or not code.isupper()):
            return meaning
    return UNKNOWN


def unavailable(where: str, error: Exception) -> StoreUnavailable:
    """Return the error for an answer that is to be repeated; `where` is the store as it may be shown."""
    meaning = meaning_of(error)
    return StoreUnavailable(f"{where}: {text_of(error)}{_ADVICE.get(meaning, '')}", meaning)


@contextlib.asynccontextmanager
async def asked(where: str, what: str, seconds: float) -> AsyncIterator[None]:
    """Give the store `seconds` to answer `what`. Raises StoreUnavailable, which names `what` and the time.

    redis-py gets no timeouts of its own but that of the connect: it wraps them in asyncio.wait_for, which loses
    cancellations on Python 3.11.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except exceptions.TimeoutError as error:
        raise StoreUnavailable(f"{where}: no connection within {CONNECT_TIMEOUT_S:g} s, for {what}") from error
    except TimeoutError as error:
        raise StoreUnavailable(f"{where}: no answer to {what} within {seconds:g} s") from error
    except FAULTS as error:
        raise unavailable(where, error) from error
