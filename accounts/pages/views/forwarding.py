"""Forwarding of all mail: a rule with a name of its own."""

from __future__ import annotations

from starlette.responses import Response

from accounts.pages.form import wrong
from accounts.pages.views.away import actions_of, own_rule, save_rule
from accounts.pages.visit import Visit, step

FORWARDING = "Forwarding"
"""The name of the rule."""


async def show(visit: Visit) -> Response:
    """Show the addresses that mail is forwarded to."""
    rule, tag = await own_rule(visit, FORWARDING, "redirect")
    sent = [one for one in actions_of(rule) if one.get("kind") == "redirect"]
    return visit.page(
        "forwarding.html",
        rule=rule,
        tag=tag,
        addresses="\n".join(one["address"] for one in sent),
        keeps=all(one.get("copy", True) for one in sent),
    )


async def save(visit: Visit) -> Response:
    """Forward all mail to the addresses; without any, forwarding ends."""
    form = visit.form
    await visit.confirm()
    await own_rule(visit, FORWARDING, "redirect")
    addresses = form.lines("addresses")
    if not addresses:
        if not form.text("tag"):
            raise wrong("addresses", "Write at least one address.")
        tag = form.text("tag")
        await visit.run(step("own-remove-rule", {"name": FORWARDING}, tag=tag))
        return visit.go("/forwarding", "removed")
    actions = [
        {"kind": "redirect", "address": address, "copy": form.flag("keep")}
        for address in dict.fromkeys(addresses)
    ]
    await save_rule(visit, FORWARDING, actions, enabled=True)
    return visit.go("/forwarding", "changed")
