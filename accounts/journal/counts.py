"""Metrics of the journal in accounts."""

from __future__ import annotations

from typing import Final

from gatepost.metrics import Counter

STORED: Final = Counter("gatepost_accounts_journal_records_total", "Records written to the journal")
PRUNED: Final = Counter(
    "gatepost_accounts_journal_pruned_total",
    "Records removed from the journal because of their age or number",
)
REFUSED: Final = Counter(
    "gatepost_accounts_journal_refused_total",
    "Batches not taken: `token`, `form`, `slow`, `busy` or `database`",
    ["why"],
)
