"""Deleted mailboxes, whose mail is still there."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from accounts.pages.form import wrong
from accounts.pages.visit import ROWS, Visit, step
from accounts.store.errors import NoSuchObject


async def show(visit: Visit) -> Response:
    """Show the deleted mailboxes, a page at a time."""
    text = visit.query.get("text", "").strip()[:254]
    after = _number(visit.query.get("after", ""))
    query = {"text": text or None, "after": after, "limit": ROWS}
    (found,) = await visit.run(step("list-deleted-mailboxes", query=query))
    return visit.page(
        "deleted.html",
        rows=found["body"]["items"],
        next=found["next"],
        text=text,
        kept=int(visit.context.keep_deleted // 86_400),
    )


async def show_restore(visit: Visit) -> Response:
    """Ask whether a mailbox is to be brought back, and say what comes back with it."""
    return visit.page("deleted_restore.html", found=await _picked(visit))


async def restore(visit: Visit) -> Response:
    """Bring a mailbox back."""
    found = await _picked(visit)
    given = {"number": found["number"]}
    await visit.run(step("restore-mailbox", {"address": found["address"]}, body=given))
    return visit.go(f"/mailboxes/{found['address']}", "restored")


async def show_purge(visit: Visit) -> Response:
    """Ask whether the mail of a mailbox is to go at once."""
    return visit.page("deleted_purge.html", found=await _picked(visit))


async def purge(visit: Visit) -> Response:
    """Let the mail of a mailbox go as soon as possible."""
    await visit.confirm()
    found = await _picked(visit)
    if visit.form.text("address").lower() != found["address"]:
        raise wrong("address", "Write the address of the mailbox.")
    given = {"number": found["number"]}
    await visit.run(step("purge-deleted-mailbox", {"address": found["address"]}, body=given))
    return visit.go("/deleted-mailboxes", "purging")


async def _picked(visit: Visit) -> dict[str, Any]:
    """Return the deleted mailbox in the query, if the visitor may see it."""
    address, number = visit.query.get("address", ""), _number(visit.query.get("number", ""))
    after = None if not number else number - 1
    query = {"address": address, "after": after, "limit": 1}
    (found,) = await visit.run(step("list-deleted-mailboxes", query=query))
    rows: list[dict[str, Any]] = found["body"]["items"]
    if not rows or rows[0]["number"] != number:
        raise NoSuchObject("There is no such deleted mailbox.")
    return rows[0]


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None
