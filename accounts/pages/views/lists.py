"""Lists of objects, a page at a time: the key of the last row is where the next page begins."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from accounts.pages.visit import ROWS, Visit, step

MAX_KEY = 400
"""Characters of a search or a key in a URL."""


async def show_list(
    visit: Visit,
    operation: str,
    template: str,
    names: tuple[str, ...] = ("text",),
    key: str = "after",
    **values: Any,
) -> Response:
    """Show a page of a list; `names` are the searches that its URL may have."""
    wanted = {name: visit.query.get(name, "").strip()[:MAX_KEY] for name in names}
    sought = {name: value or None for name, value in wanted.items()}
    after = visit.query.get(key, "")[:MAX_KEY] or None
    (found,) = await visit.run(step(operation, query=sought | {key: after, "limit": ROWS}))
    return visit.page(
        template, rows=found["body"]["items"], next=found["next"], sought=wanted, **values
    )
