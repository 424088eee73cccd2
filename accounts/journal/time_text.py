"""Time as the trace writes it."""

from __future__ import annotations

from datetime import UTC, datetime


def time_text(at: float) -> str:
    """Return a time in UTC, to the second."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
