"""`voxpool-load chaos`: real schedulers, nodes and clients under drawn faults, with a ledger outside of them."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path

import click

from voxpool.leakgate.terminal import say
from voxpool.loadtest.chaos._faults import KINDS, kinds_of
from voxpool.loadtest.chaos._sizes import Sizes
from voxpool.scheduler.cli.progress import progress
from voxpool.scheduler.errors import ConfigError

USUAL = Sizes()


@click.command()
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of the first run.")
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="Number of runs, a seed each.")
@click.option("--duration", type=click.FloatRange(5), default=USUAL.duration_s, show_default=True, help="s a run.")
@click.option(
    "--store",
    "stores",
    type=click.Choice(["redis", "cluster"]),
    multiple=True,
    default=["redis"],
    show_default=True,
    help="One Redis, or a Redis Cluster of three primaries with a replica each; with both, each seed runs on both.",
)
@click.option(
    "--jobs",
    type=click.Choice(["redis", "memory"]),
    default=USUAL.jobs,
    show_default=True,
    help="Where the schedulers keep jobs; memory has one scheduler, whose clients submit again when it dies.",
)
@click.option(
    "--acks",
    type=click.IntRange(0, 1),
    default=USUAL.acks,
    show_default=True,
    help="Replicas that must have what clients are told; 1 is for --store cluster, whose primaries then have two each.",
)
@click.option(
    "--order",
    type=click.Choice(["submit", "fair"]),
    default=USUAL.order,
    show_default=True,
    help="Which waiting job is next; clients name four keys and all priorities.",
)
@click.option("--schedulers", type=click.IntRange(1, 20), default=USUAL.schedulers, show_default=True)
@click.option("--nodes", type=click.IntRange(1, 200), default=USUAL.nodes, show_default=True)
@click.option("--clients", type=click.IntRange(1, 100), default=USUAL.clients, show_default=True)
@click.option(
    "--every", type=click.FloatRange(0.1), default=USUAL.every_s, show_default=True, help="s between two faults, mean."
)
@click.option(
    "--fault",
    "kinds",
    type=click.Choice(sorted(KINDS)),
    multiple=True,
    metavar="KIND",
    help="Only faults of this kind; repeatable. Default: all that fit the store.",
)
@click.option("--list", "list_", is_flag=True, help="Print the kinds of faults, and exit.")
@click.option(
    "--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write the report there, too."
)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("out/chaos"), show_default=True,
    help="A folder for the page, and for the logs and the ledger of each run.",
)  # fmt: skip
def chaos(
    seed: int, seeds: int, duration: float, stores: Sequence[str], jobs: str, acks: int, order: str, schedulers: int,
    nodes: int, clients: int, every: float, kinds: Sequence[str], list_: bool, json_path: Path | None, out: Path,
) -> int:  # fmt: skip
    """Run real schedulers, nodes and clients, and break them in an order that the seed decides: processes are killed
    and stopped, connections are cut or hang, Redis fails over or comes back empty. A ledger of the clients and nodes
    decides: no accepted job may be lost, delivered twice or answered wrongly.

    Exits with 0 when all of that holds, 1 when not, 2 when it is unclear. Nothing is written to a Redis of yours.
    """
    if list_:
        for name, kind in KINDS.items():
            say(f"{name:17} {kind.sentence} ({', '.join(kind.stores)})")
        return 0
    usual = Sizes(
        jobs=jobs,
        acks=acks,
        order=order,
        schedulers=schedulers if jobs == "redis" else 1,
        nodes=nodes,
        clients=clients,
        duration_s=duration,
        every_s=every,
        kinds=tuple(kinds),
    )
    runs = [dataclasses.replace(usual, store=store, seed=seed + more) for more in range(seeds) for store in stores]
    for sizes in runs:
        if not kinds_of(sizes):
            raise ConfigError(f"--fault: none of these kinds fits --store {sizes.store}: see --list")
    return _run(runs, json_path, out)


def _run(runs: Sequence[Sizes], json_path: Path | None, out: Path) -> int:
    from rich.console import Console

    from voxpool.loadtest.chaos._report import report
    from voxpool.loadtest.chaos._run import run

    outcomes = []
    with progress("seconds", int(sum(sizes.duration_s for sizes in runs))) as shown:
        for sizes in runs:
            shown.complain(f"{sizes.name}: {sizes.duration_s:g} s; logs: {out / sizes.name}")
            shutil.rmtree(out / sizes.name, ignore_errors=True)
            (out / sizes.name).mkdir(parents=True)
            outcomes.append(asyncio.run(run(sizes, out / sizes.name, shown.advance)))
            one = report(outcomes[-1:])
            one.write(out=out / sizes.name)
            shown.complain(f"{sizes.name}: {one.outcome.value}: {one.meaning}")
    found = report(outcomes)
    found.write(json_path, out)
    found.print(Console(width=120))
    return found.exit_code
