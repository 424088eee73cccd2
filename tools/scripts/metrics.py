"""Generator of docs/reference/metrics.md from the metrics that the code declares."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any

from gatepost import metrics
from gatepost.metrics.families import Family

ROOT = Path(__file__).parents[2]


def declared() -> list[Family[Any]]:
    """Return every metric of ours, by name."""
    for package in ("gatepost", "milters", "policyd", "accounts", "delivery"):
        for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}."):
            # commands declare no metrics, and migrations only run inside Alembic
            if not module.name.startswith((f"{package}.cli", "accounts.store.migrations.")):
                importlib.import_module(module.name)
    return metrics.declared()


def page(families: list[Family[Any]]) -> str:
    """Return the page in Markdown."""
    lines = [
        "# Metrics",
        "",
        "Written by `make docs` from the code. Served at `metrics_listen` of each daemon:",
        "`/metrics` for Prometheus, and for probes `/healthz` (should it be restarted?), `/readyz`",
        "(should it get mail?) and `/handshake` (does it answer at its `listen`?).",
        "",
        "| metric | kind | labels | meaning |",
        "|---|---|---|---|",
    ]
    for family in families:
        labels = ", ".join(f"`{label}`" for label in family.label_names)
        lines.append(f"| `{family.name}` | {family.kind} | {labels} | {family.documentation} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (ROOT / "docs/reference/metrics.md").write_text(page(declared()), encoding="utf-8")
