"""Metrics of snapshots in the daemons that use them."""

from __future__ import annotations

from gatepost.metrics import Counter, Gauge

GENERATION = Gauge(
    "gatepost_snapshot_generation",
    "Generation of the data of accounts that the snapshot in use is current for",
    ["snapshot"],
    across="max",
)
CONFIRMED = Gauge(
    "gatepost_snapshot_confirmed_timestamp_seconds",
    "Time when accounts last sent the snapshot in use, or said that it is current",
    ["snapshot"],
    across="max",
)
RECORDS = Gauge(
    "gatepost_snapshot_records",
    "Number of records in the snapshot in use",
    ["snapshot"],
    across="max",
)
FETCHED = Counter("gatepost_snapshot_fetched_total", "Snapshots taken into use", ["snapshot"])
FAILURES = Counter(
    "gatepost_snapshot_failures_total",
    "Failed attempts to get or keep a snapshot: `away` (accounts does not answer), `refused` "
    "(the token), `invalid` (damaged, or not a snapshot), `older` (an older generation), `disk` "
    "(in use, but not kept on disk)",
    ["snapshot", "why"],
)
