"""What an answer of a store can mean; answers.py has the table. Nothing here needs the package redis."""

from __future__ import annotations

BROKEN, LOST_DATA, TOPOLOGY, TAKEN, NOT_NOW = "broken", "lost_data", "topology", "taken", "not_now"
UNKNOWN = "unknown"
MEANINGS = (BROKEN, LOST_DATA, TOPOLOGY, TAKEN, NOT_NOW, UNKNOWN)
