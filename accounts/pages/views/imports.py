"""Import of a table: first what it would change, then exactly that."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from accounts.exchange.csv_table import COLUMNS
from accounts.pages.form import wrong
from accounts.pages.visit import Visit

MAX_UPLOAD: Final = 1 << 20
"""Octets of the form: a table of 256 KiB, as a browser encodes it."""


async def show(visit: Visit) -> Response:
    """Show the form for a table."""
    return _shown(visit)


async def act(visit: Visit) -> Response:
    """Show what a table would change, or change it if that was shown."""
    form = visit.form
    table = form.secret("table") or form.secret("file")
    if not table.strip():
        raise wrong("file", "Choose a file, or paste a table.")
    digest = form.text("expected")
    if not digest:
        return _shown(visit, await visit.run_alone("import-table", {"table": table}), table)
    await visit.confirm()
    found = await visit.run_alone("import-table", {"table": table})
    if _refused(found) and not form.flag("partly"):
        visit.problem = wrong(
            "partly", "Some lines are refused. Tick the box to import the others."
        )
        return _shown(visit, found, table)
    if found["digest"] != digest:
        visit.problem = wrong("table", "The accounts have changed since: look at the new preview.")
        return _shown(visit, found, table)
    # the service compares again, within the transaction
    await visit.run_alone("import-table", {"table": table, "expected": digest})
    return visit.go("/mailboxes", "imported")


def _refused(found: dict[str, Any]) -> int:
    conflicts = [one for one in found["changes"] if one["action"] == "conflict"]
    return len(found["left_out"]) + len(conflicts)


def _shown(visit: Visit, found: dict[str, Any] | None = None, table: str = "") -> Response:
    counted = {"add": 0, "change": 0}
    for one in () if found is None else found["changes"]:
        counted[one["action"]] = counted.get(one["action"], 0) + 1
    return visit.page(
        "import.html",
        found=found,
        table=table,
        columns=COLUMNS,
        added=counted["add"],
        changed=counted["change"],
        refused=0 if found is None else _refused(found),
    )
