"""What is measured: voxpool in four ways, the queues that a user would pick instead, and two bare relays."""

from __future__ import annotations

from dataclasses import dataclass, replace

REDIS = ("redis==8.1.0", "hiredis==3.5.0", "uvloop==0.23.0")
LEAN = ("picows==2.3.1", "websockets==17.4", "msgspec==0.22.0", "uvloop==0.23.0")
VOXPOOL = "voxpool"
FLOOR = "relay"


@dataclass(frozen=True)
class Subject:
    """A program with its settings. `name` is unique; subjects with one `program` share an environment."""

    name: str
    program: str
    """The file in inside/ that is run, without its ending."""
    variant: str
    packages: tuple[str, ...]
    """Pinned packages of its environment; none means the environment of voxpool."""
    kind: str = "peer"
    """peer, "voxpool" or "relay"."""
    flags: tuple[str, ...] = ()
    """Options of `voxpool serve`."""
    is_default: bool = False
    """Whether it is measured when no subject is named."""


def _peer(program: str, *packages: str, variants: tuple[str, ...] = ("default", "tuned")) -> list[Subject]:
    name = program.removesuffix("_queue")
    return [Subject(f"{name} {variant}", program, variant, packages) for variant in variants]


def _measured(subjects: list[Subject], *names: str) -> list[Subject]:
    return [replace(one, is_default=one.name in names) for one in subjects]


QUIET = ("--log-level", "warning")
SUBJECTS = _measured(
    [
        Subject("voxpool as README writes it", "voxpool_sdk", "thread", (), VOXPOOL),
        Subject("voxpool, SDK with coroutines", "voxpool_sdk", "async", (), VOXPOOL),
        Subject("voxpool, lean client", "voxpool_lean", "session", LEAN, VOXPOOL),
        Subject("voxpool, lean client, logs at warning", "voxpool_lean", "session", LEAN, VOXPOOL, QUIET),
        Subject("voxpool, HTTP", "voxpool_lean", "http", LEAN, VOXPOOL),
        Subject("relay of picows", "relay", "picows", LEAN, FLOOR),
        Subject("relay of websockets", "relay", "websockets", LEAN, FLOOR),
        *_peer("huey_queue", "huey==3.5.4", *REDIS),
        *_peer("dramatiq_queue", "dramatiq==2.2.1", *REDIS),
        *_peer("taskiq_queue", "taskiq==0.13.0", "taskiq-redis==1.2.4", *REDIS),
        *_peer("saq_queue", "saq[hiredis]==0.26.4", "typing_extensions", *REDIS),
        *_peer("arq_queue", "arq==0.28.0", "uvloop==0.23.0"),
        *_peer("celery_queue", "celery[redis]==5.7.0", *REDIS, variants=("default", "tuned", "threads")),
        *_peer("rq_queue", "rq==3.0.0", *REDIS),
        *_peer("faststream_queue", "faststream[redis,cli]==0.7.8", *REDIS),
        *_peer("docket_queue", "pydocket==0.27.0", *REDIS),
        *_peer("streaq_queue", "streaq==7.2.0", "uvloop==0.23.0"),
        *_peer("dask_queue", "distributed==2026.8.0", "uvloop==0.23.0"),
        *_peer("bullmq_queue", "bullmq@6.7.0", "ioredis@6.0.0"),
    ],
    "voxpool as README writes it",
    "voxpool, SDK with coroutines",
    "voxpool, lean client",
    "voxpool, lean client, logs at warning",
    "voxpool, HTTP",
    "relay of picows",
    "relay of websockets",
    "huey default",
    "huey tuned",
    "dramatiq tuned",
    "saq tuned",
    "bullmq default",
    "bullmq tuned",
)  # fmt: skip
README_ROW = SUBJECTS[0].name
LEAN_ROW = "voxpool, lean client, logs at warning"
PYTHON_PEERS = tuple(one.name for one in SUBJECTS if one.kind == "peer" and not one.name.startswith("bullmq"))
BULLMQ = ("bullmq default", "bullmq tuned")
