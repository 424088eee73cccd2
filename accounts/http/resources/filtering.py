"""Operations on the filtering of a mailbox: its rules, preferences and listed senders."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from accounts.directory import listed_senders, preferences, sieve_rules
from accounts.directory.preferences import Preferences
from accounts.directory.sieve_rules import SieveRule
from accounts.http.call import Call, Reply
from accounts.http.models.belongings import (
    ListedSenderAdd,
    ListedSenderOut,
    PreferencesChange,
    PreferencesOut,
    RuleAdd,
    RuleChange,
    RuleOrder,
    RuleOut,
)
from accounts.http.operation import Operation, Reach, for_owner
from accounts.http.paths import location
from accounts.sieve.rule import RuleError, parse_rule
from accounts.store.errors import Invalid
from accounts.store.transaction import Write

_MAILBOX = "/mailboxes/{address}"


async def find_rules(call: Call) -> Reply:
    """List the rules of a mailbox."""
    return Reply(await call.read(lambda c: sieve_rules.find(c, call.address)))


async def get_rule(call: Call) -> Reply:
    """Read a rule."""
    return Reply.of(
        await call.read(lambda c: sieve_rules.get(c, call.address, call.params["name"]))
    )


async def add_rule(call: Call) -> Reply:
    """Add a rule."""
    values = call.changes

    def work(write: Write) -> SieveRule:
        with write.attempt("rule.add", call.address):
            values["rule"] = _body({"enabled": True} | values)
            return sieve_rules.add(write, call.address, **values)

    made = await call.write(work)
    return Reply.of(made, location=location("mailboxes", made.mailbox, "rules", made.name))


async def change_rule(call: Call) -> Reply:
    """Change a rule."""

    def work(write: Write) -> SieveRule:
        before = _expected(call, write, "rule.change")
        values = call.changes
        with write.attempt("rule.change", call.address):
            if not values.keys().isdisjoint(("name", "rule")):
                there = {"name": before.name, "enabled": before.enabled, "rule": before.rule}
                body = _body(there | values)
                values |= {"rule": body} if "rule" in values else {}
            return sieve_rules.change(write, call.address, before.name, before.version, **values)

    made = await call.write(work)
    return Reply.of(made, location=location("mailboxes", made.mailbox, "rules", made.name))


async def remove_rule(call: Call) -> Reply:
    """Remove a rule."""

    def work(write: Write) -> None:
        before = _expected(call, write, "rule.remove")
        sieve_rules.remove(write, call.address, before.name, before.version)

    await call.write(work)
    return Reply()


async def order_rules(call: Call) -> Reply:
    """Put the rules into another order."""
    return Reply(await call.write(lambda w: sieve_rules.order(w, call.address, call.body.names)))


def _expected(call: Call, write: Write, action: str) -> SieveRule:
    with write.attempt(action, call.address):
        before = sieve_rules.get(write.connection, call.address, call.params["name"])
        call.matching.expect(before)
    return before


def _body(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rule as the datastore holds it; raises `Invalid` for one that cannot be Sieve."""
    body = values["rule"]
    if not isinstance(body, dict) or not body.keys().isdisjoint(("name", "enabled")):
        raise Invalid("rule", "It has match, conditions and actions.")
    try:
        rule = parse_rule({**body, "name": values["name"], "enabled": values["enabled"]})
    except RuleError as error:
        field = "name" if error.field == "name" else f"rule.{error.field}".rstrip(".")
        raise Invalid(field, error.text) from None
    return rule.body()


async def get_preferences(call: Call) -> Reply:
    """Read the preferences of a mailbox."""
    return Reply.of(await call.read(lambda c: preferences.get(c, call.address)))


async def change_preferences(call: Call) -> Reply:
    """Change the preferences of a mailbox."""

    def work(write: Write) -> Preferences:
        with write.attempt("preferences.change", call.address):
            before = preferences.get(write.connection, call.address)
            call.matching.expect(before)
            return preferences.change(write, call.address, before.version, **call.changes)

    return Reply.of(await call.write(work))


async def find_listed(call: Call) -> Reply:
    """List the senders that are allowed or blocked."""
    return Reply(await call.read(lambda c: listed_senders.find(c, call.address)))


async def add_listed(call: Call) -> Reply:
    """Allow or block a sender."""
    body = call.body
    made = await call.write(
        lambda write: listed_senders.add(write, call.address, body.kind, body.pattern)
    )
    where = location("mailboxes", made.mailbox, "listed-senders", made.kind, made.pattern)
    return Reply(made, location=where)


async def remove_listed(call: Call) -> Reply:
    """Allow or block a sender no more."""
    kind, pattern = call.params["kind"], call.params["pattern"]
    await call.write(lambda write: listed_senders.remove(write, call.address, kind, pattern))
    return Reply()


_rules = partial(
    Operation, path=f"{_MAILBOX}/rules", area="rules", reach=Reach.OWNER, gives=RuleOut
)
_rule = partial(_rules, path=f"{_MAILBOX}/rules/{{name:path}}")
_preferences = partial(
    Operation,
    path=f"{_MAILBOX}/preferences",
    area="preferences",
    reach=Reach.OWNER,
    gives=PreferencesOut,
)
_listed = partial(
    Operation,
    path=f"{_MAILBOX}/listed-senders",
    area="listed-senders",
    reach=Reach.OWNER,
    gives=ListedSenderOut,
)

OPERATIONS = for_owner(
    [
        _rules(
            name="list-rules",
            method="GET",
            summary="List the filters of a mailbox in their order",
            handle=find_rules,
            is_list=True,
        ),
        _rules(
            name="add-rule",
            method="POST",
            summary="Add a filter behind the others",
            handle=add_rule,
            takes=RuleAdd,
            status=HTTPStatus.CREATED,
        ),
        _rules(
            name="order-rules",
            method="PUT",
            summary="Put the filters into another order",
            handle=order_rules,
            takes=RuleOrder,
            is_list=True,
        ),
        _rule(name="get-rule", method="GET", summary="Read a filter", handle=get_rule),
        _rule(
            name="change-rule",
            method="PATCH",
            summary="Change a filter",
            handle=change_rule,
            takes=RuleChange,
            matches=True,
        ),
        _rule(
            name="remove-rule",
            method="DELETE",
            summary="Remove a filter",
            handle=remove_rule,
            gives=None,
            status=HTTPStatus.NO_CONTENT,
            matches=True,
        ),
        _preferences(
            name="get-preferences",
            method="GET",
            summary="Read the preferences about greylisting, spam and viruses",
            handle=get_preferences,
        ),
        _preferences(
            name="change-preferences",
            method="PATCH",
            summary="Change these preferences",
            handle=change_preferences,
            takes=PreferencesChange,
            matches=True,
        ),
        _listed(
            name="list-listed-senders",
            method="GET",
            summary="List the senders that a mailbox allows or blocks",
            handle=find_listed,
            is_list=True,
        ),
        _listed(
            name="add-listed-sender",
            method="POST",
            summary="Allow or block a sender",
            handle=add_listed,
            takes=ListedSenderAdd,
            status=HTTPStatus.CREATED,
        ),
        _listed(
            name="remove-listed-sender",
            method="DELETE",
            path=f"{_MAILBOX}/listed-senders/{{kind}}/{{pattern:path}}",
            summary="Allow or block a sender no more",
            handle=remove_listed,
            gives=None,
            status=HTTPStatus.NO_CONTENT,
        ),
    ]
)
