"""Filters of the visitor's mailbox, built from rows."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from accounts.pages.filter_rows import (
    COMPARISONS,
    FIELDS,
    MAX_ROWS,
    FilterActions,
    FilterRow,
    from_rule,
    to_rule,
)
from accounts.pages.form import WebForm
from accounts.pages.views.away import AWAY, is_own
from accounts.pages.views.forwarding import FORWARDING
from accounts.pages.visit import Visit, chosen, step

OWN_PAGES = {AWAY: ("/away", "vacation"), FORWARDING: ("/forwarding", "redirect")}
"""Filters that have a page of their own: its path, and the kind of their actions."""
MATCHES = ("all", "any", "always")
SPARE = 2
"""Empty rows of a new filter."""


async def show(visit: Visit) -> Response:
    """Show the filters in their order."""
    rules = await _rules(visit)
    shown = []
    for rule in rules:
        page, kind = OWN_PAGES.get(rule["name"], (None, ""))
        if not is_own(rule, kind):
            page = None
        parts = from_rule(rule["rule"]) if page is None else None
        shown.append(rule | {"page": page, "parts": parts})
    return visit.page("filters.html", rules=shown)


async def act(visit: Visit) -> Response:
    """Move a filter, or switch it on or off."""
    form, rules = visit.form, await _rules(visit)
    name = form.secret("name")
    names = [rule["name"] for rule in rules]
    if form.flag("up") or form.flag("down"):
        if name in names:
            here = names.index(name)
            there = max(0, here - 1) if form.flag("up") else min(len(names) - 1, here + 1)
            names.insert(there, names.pop(here))
        await visit.run(step("own-order-rules", body={"names": names}))
        return visit.go("/filters", "moved")
    change = {"enabled": form.flag("on")}
    await visit.run(
        step("own-change-rule", {"name": name}, body=change, tag=form.text("tag") or '"-"')
    )
    return visit.go("/filters", "changed")


async def show_one(visit: Visit) -> Response:
    """Show a filter, or an empty one, as rows."""
    name = visit.query.get("name")
    tag, enabled = "", True
    match, rows, actions = "all", [FilterRow()], FilterActions()
    if name is not None:
        (found,) = await visit.run(step("own-get-rule", {"name": name}))
        tag, enabled = found["tag"], found["body"]["enabled"]
        parts = from_rule(found["body"]["rule"])
        if parts is None:
            return visit.page("filter_foreign.html", rule=found["body"])
        match, rows, actions = parts
    if visit.form:
        # the fields of actions show what was typed beside what is stored
        match, rows, _ = _read(visit.form)
    wanted = min(MAX_ROWS, len(rows) + (SPARE if visit.form.flag("more") else 1))
    rows = rows + [FilterRow()] * (wanted - len(rows))
    return visit.page(
        "filter.html",
        name=name,
        tag=tag,
        enabled=enabled,
        match=match,
        rows=rows,
        actions=actions,
        fields=FIELDS,
        comparisons=COMPARISONS,
        matches=MATCHES,
    )


async def save(visit: Visit) -> Response:
    """Save a filter, or show it with more rows."""
    form = visit.form
    if form.flag("more"):
        return await show_one(visit)
    match, rows, actions = _read(form)
    given: dict[str, Any] = {
        "name": form.text("name"),
        "rule": to_rule(match, rows, actions),
        "enabled": form.flag("enabled"),
    }
    before = visit.query.get("name")
    if actions.forward and actions.forward != await _forward_of(visit, before):
        # as on the page of forwarding
        await visit.confirm()
    if before is None:
        await visit.run(step("own-add-rule", body=given))
        return visit.go("/filters", "added")
    tag = form.text("tag") or '"-"'
    await visit.run(step("own-change-rule", {"name": before}, body=given, tag=tag))
    return visit.go("/filters", "changed")


async def show_removal(visit: Visit) -> Response:
    """Ask whether a filter is to be removed."""
    name = visit.query.get("name", "")
    (found,) = await visit.run(step("own-get-rule", {"name": name}))
    return visit.page("filter_remove.html", rule=found["body"], tag=found["tag"])


async def remove(visit: Visit) -> Response:
    """Remove a filter."""
    name = visit.query.get("name", "")
    tag = visit.form.text("tag") or '"-"'
    await visit.run(step("own-remove-rule", {"name": name}, tag=tag))
    return visit.go("/filters", "removed")


async def _forward_of(visit: Visit, name: str | None) -> str:
    """Return where a filter sends copies now; empty if nowhere, or if it is new."""
    if name is None:
        return ""
    (found,) = await visit.run(step("own-get-rule", {"name": name}))
    parts = from_rule(found["body"]["rule"])
    return "" if parts is None else parts[2].forward


async def _rules(visit: Visit) -> list[dict[str, Any]]:
    """Return the filters with their tags."""
    (found,) = await visit.run(step("own-list-rules"))
    rules = found["body"]["items"]
    answers = (
        await visit.run(*(step("own-get-rule", {"name": rule["name"]}) for rule in rules))
        if rules
        else []
    )
    return [rule | {"tag": answer["tag"]} for rule, answer in zip(rules, answers, strict=True)]


def _read(form: WebForm) -> tuple[str, list[FilterRow], FilterActions]:
    """Return what was typed."""
    rows = []
    for place in range(MAX_ROWS):
        if f"field-{place}" not in form:
            break
        row = FilterRow(
            chosen(FIELDS, form.text(f"field-{place}")),
            chosen(COMPARISONS, form.text(f"comparison-{place}").removeprefix("not-")),
            form.text(f"value-{place}"),
            form.text(f"comparison-{place}").startswith("not-"),
        )
        if not row.is_empty:
            rows.append(row)
    actions = FilterActions(
        folder=form.text("folder"),
        forward=form.text("forward"),
        reject=form.text("reject"),
        read=form.flag("read"),
        flag=form.flag("flag"),
        discard=form.flag("discard"),
        stop=form.flag("stop"),
    )
    return chosen(MATCHES, form.text("match")), rows, actions
