"""The findings of the doctor."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Trouble(StrEnum):
    """The kinds of trouble, as stable words."""

    SCHEDULER_DOWN = "scheduler_down"
    NOT_A_SCHEDULER = "not_a_scheduler"
    VERSION = "version"
    NOT_READY = "not_ready"
    TOKEN = "token"  # nosec B105  # the name of a check
    ADDRESS = "address"
    PORT_TAKEN = "port_taken"
    STORE_UNREACHABLE = "store_unreachable"
    STORE_VERSION = "store_version"
    STORE_EVICTION = "store_eviction"
    STORE_REPLICA = "store_replica"
    STORE_REPLICAS = "store_replicas"
    STORE_CLUSTER = "store_cluster"
    STORE_START = "store_start"
    SECOND_SCHEDULER = "second_scheduler"
    CLOCK_SKEW = "clock_skew"
    NO_NODE = "no_node"
    TOKENS_UNSET = "tokens_unset"
    SECRET_FILE = "secret_file"  # nosec B105  # the name of a check
    CLEANUP_OFF = "cleanup_off"
    OPEN_FILES = "open_files"


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong, at `where`; `what` and `to_do` are sentences for people."""

    trouble: Trouble
    where: str
    what: str
    to_do: str


class Examination(msgspec.Struct):
    """All findings. `looked_at` and `left_out` name what was examined, and what was not and why.

    `notes` are facts for the reader that are not wrong.
    """

    findings: list[Finding]
    looked_at: list[str]
    left_out: list[str]
    notes: list[str] = []
