"""The codes with which the scheduler closes a WebSocket (RFC 6455, 7.4; from 4000 on they are ours)."""

from __future__ import annotations

NORMAL = 1000
POLICY = 1008
"""The peer was refused, or sent what it must not; the reason says what."""
TOO_BIG = 1009
RESTART = 1012
REPLACED = 4000
"""A newer connection of the same client or node took its place."""
TOKEN_REMOVED = 4001
"""The token of the connection no longer counts."""
