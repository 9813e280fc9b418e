"""The examination on this machine, without a running scheduler: its address, its files and its store."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable
from pathlib import Path

from voxpool.scheduler.config import REDIS, Settings
from voxpool.scheduler.doctor.finding import Finding, Trouble
from voxpool.scheduler.doctor.judge import cluster_as_one_server, second_scheduler, store_findings, too_few_replicas
from voxpool.scheduler.errors import CannotStart, ConfigError, StoreUnavailable
from voxpool.scheduler.stores.cluster.job_stores import JobStores
from voxpool.scheduler.stores.embedded import EmbeddedStore
from voxpool.scheduler.stores.facts import StoreFacts
from voxpool.scheduler.stores.redis import RedisStore
from voxpool.scheduler.web.wire.server import listen

_LISTENS = "0A"
"""The state of a listening socket in /proc/net/tcp."""


def address_findings(settings: Settings) -> list[Finding]:
    """Listen where a scheduler would, for a moment."""
    where = f"{settings.host}:{settings.port}"
    try:
        listen(settings).close()
    except CannotStart as error:
        cause = error.__context__
        if isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE:
            return [port_taken(where, settings.port)]
        what = str(cause.strerror if isinstance(cause, OSError) else error)
        return [Finding(Trouble.ADDRESS, where, f"can't listen there: {what}", "choose another with --host and --port")]
    except ConfigError as error:
        return [Finding(Trouble.ADDRESS, where, str(error), "give an address of this machine, or 0.0.0.0 for all")]
    return []


def port_taken(where: str, port: int) -> Finding:
    """Return the finding that something else listens there."""
    return Finding(
        Trouble.PORT_TAKEN,
        where,
        f"the port is taken by {holder_of(port) or 'another process'}, which is no scheduler that answers",
        "stop that one, or choose another port with --port",
    )


def open_files_max() -> int | None:
    """Return how many open files a scheduler started from here may have: it takes the hard limit. None = any number."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return None if hard == resource.RLIM_INFINITY else hard


async def look_at_store(
    settings: Settings, state_dir: Path | None, now_ms: Callable[[], int], own: str = ""
) -> list[Finding]:
    """Look at the store of `settings`; its owner may be `own`, the scheduler that was queried already.

    Raises ConfigError when the setting can't be used at all.
    """
    if settings.store == "memory":
        return []
    if settings.store == "embedded":
        return await _try_embedded(state_dir)
    if settings.jobs == REDIS:
        return await _look_at_jobs(settings, now_ms)
    store = RedisStore(settings.store)
    try:
        facts: StoreFacts = await store.facts(now_ms)
        found = store_findings(facts)
        if facts.is_cluster:
            found.append(cluster_as_one_server(store.url))
        if facts.owner and facts.owner != own and await store.is_in_use():
            found.append(second_scheduler(facts))
        return found
    except StoreUnavailable as error:
        return [store_unreachable(store.url, str(error))]
    finally:
        await store.close()


async def _look_at_jobs(settings: Settings, now_ms: Callable[[], int]) -> list[Finding]:
    """Look at the servers of jobs that several schedulers share."""
    stores = JobStores(settings.store, settings.partitions, settings.acks)
    try:
        facts = await stores.facts(now_ms)
        misused = facts.is_cluster and not stores.is_cluster
        found = store_findings(facts) + too_few_replicas(facts, settings.acks)
        return [*found, cluster_as_one_server(stores.url)] if misused else found
    except StoreUnavailable as error:
        return [store_unreachable(stores.url, str(error))]
    finally:
        await stores.close()


def store_unreachable(where: str, what: str) -> Finding:
    """Return the finding that a store does not answer."""
    return Finding(
        Trouble.STORE_UNREACHABLE,
        where,
        f"the store does not answer correctly: {what.removeprefix(f'{where}: ')}",
        "start it, or correct host, port, password and database in the setting store",
    )


def holder_of(port: int) -> str:
    """Return which process listens on `port`, as far as this user may know it, else ""."""
    inodes = {
        fields[9]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for fields in map(str.split, _lines(Path(table))[1:])
        if fields[3] == _LISTENS and int(fields[1].rsplit(":", 1)[1], 16) == port
    }
    sockets = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").iterdir() if sockets else ():
        if process.name.isdigit():
            try:
                if any(os.readlink(file) in sockets for file in (process / "fd").iterdir()):
                    return f"process {process.name} ({(process / 'comm').read_text().strip()})"
            except OSError:
                continue  # it has ended, or is another user's
    return ""


async def _try_embedded(state_dir: Path | None) -> list[Finding]:
    """Start the embedded store as a scheduler would, and stop it; a state folder that isn't there is not made."""
    where = "store embedded" + (f", state folder {state_dir}" if state_dir else "")
    there = state_dir
    while there is not None and not there.exists() and there != there.parent:
        there = there.parent
    try:
        if there is not None and not (there.is_dir() and os.access(there, os.W_OK)):
            raise ConfigError(f"{there} is no folder that can be written")
        store = EmbeddedStore(state_dir if there == state_dir else None)
        await store.start()
        await store.close()
    except (ConfigError, StoreUnavailable, OSError) as error:
        to_do = "correct that, or use --store redis://HOST:PORT/DB"
        return [Finding(Trouble.STORE_START, where, f"it can't be started: {error}", to_do)]
    return []


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
