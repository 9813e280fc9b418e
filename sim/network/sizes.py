"""Sizes of the buffers, reads and segments of a simulated connection."""

from __future__ import annotations

WINDOW_BYTES = 512 * 1024
"""The bytes of one direction that were written and not yet read: the send buffer and the receive buffer."""
READ_BYTES = 256 * 1024
"""The largest `data_received`, as in asyncio."""
HIGH_BYTES = 64 * 1024
"""The default high-water mark of the transport's own buffer, as in asyncio; the low one is a quarter of it."""
SEGMENT_BYTES = 60
"""The size of a segment without data, and of the header of one with data."""
CUT_CHANCE = 0.3
"""The share of reads that end early when the network cuts reads."""
