"""DKIM keys of a domain: new, published, active, retired."""

from __future__ import annotations

from starlette.responses import Response

from accounts.pages.visit import Visit, chosen, step

ALGORITHMS = ("rsa", "ed25519")
ACTIONS = ("activate", "retire", "remove")


async def show(visit: Visit) -> Response:
    """Show the keys of a domain."""
    where = {"domain": visit.params["domain"]}
    domain, keys = await visit.run(step("get-domain", where), step("list-dkim-keys", where))
    return visit.page(
        "keys.html",
        domain=domain["body"]["name"],
        keys=keys["body"]["items"],
        algorithms=ALGORITHMS,
    )


async def add(visit: Visit) -> Response:
    """Make a key; its private part never leaves the service."""
    form, where = visit.form, {"domain": visit.params["domain"]}
    given = {
        "selector": form.text("selector"),
        "algorithm": chosen(ALGORITHMS, form.text("algorithm")),
    }
    await visit.run(step("add-dkim-key", where, body=given))
    return visit.go(f"/domains/{where['domain']}/keys", "added")


async def show_action(visit: Visit) -> Response:
    """Say what an action on a key does, before it is done."""
    (found,) = await visit.run(step("get-dkim-key", _where(visit)))
    return visit.page("key_action.html", key=found["body"], tag=found["tag"], action=_action(visit))


async def act(visit: Visit) -> Response:
    """Activate, retire or remove a key."""
    await visit.confirm()
    action, tag = _action(visit), visit.form.text("tag") or '"-"'
    await visit.run(step(f"{action}-dkim-key", _where(visit), tag=tag))
    note = {"activate": "activated", "retire": "retired", "remove": "removed"}[action]
    return visit.go(f"/domains/{visit.params['domain']}/keys", note)


def _action(visit: Visit) -> str:
    return chosen(ACTIONS, visit.query.get("do", ""))


def _where(visit: Visit) -> dict[str, str]:
    return {"domain": visit.params["domain"], "selector": visit.params["selector"]}
