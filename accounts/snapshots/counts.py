"""Metrics of snapshots in accounts."""

from __future__ import annotations

from typing import Final

from gatepost.metrics import Counter, Gauge, Histogram

MADE: Final = Counter(
    "gatepost_accounts_snapshots_made_total", "Snapshots made, by name", ["snapshot"]
)
SECONDS: Final = Histogram(
    "gatepost_accounts_snapshot_seconds",
    "Time to make a snapshot",
    buckets=(0.01, 0.1, 0.5, 1, 5, 10, 30),
)
OCTETS: Final = Gauge(
    "gatepost_accounts_snapshot_octets", "Size of a snapshot", ["snapshot"], across="max"
)
ANSWERS: Final = Counter(
    "gatepost_accounts_snapshot_answers_total",
    "Requests for snapshots by name and status of the answer",
    ["snapshot", "status"],
)
