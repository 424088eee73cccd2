"""Metrics of the journal in the daemons that write to it."""

from __future__ import annotations

from gatepost.metrics import Counter

RECORDS = Counter(
    "gatepost_journal_records_total",
    "Decisions for `gatepost trace`: `sent`, or dropped because too many were waiting (`full`), "
    "accounts did not answer (`away`), does not take the token (`refused`) or keeps no journal "
    "(`off`)",
    ["result"],
)
