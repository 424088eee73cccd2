"""`gatepost domain`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click

from accounts.cli.domain_check import check
from accounts.cli.executor import OperationStep, StepResult
from accounts.cli.filter_options import LISTS, list_steps, pairs_of, patterns, wished, wishes_of
from accounts.cli.noun import Noun, Shown
from accounts.cli.options import Field, field_options, fields_of, given, insist_on_change
from accounts.cli.session import CommandSession, session_options
from accounts.cli.values import NONE, flag_text, list_text, size_text, state_text, time_text
from accounts.http.models.belongings import DomainPreferencesChange
from accounts.http.models.domains import DomainChange
from accounts.http.resources.domains import DOMAIN as KIND

FIELDS = fields_of(DomainChange, alias_of="DOMAIN", catch_all="ADDRESS", transport="TRANSPORT")
_PREFERENCES = wishes_of(
    DomainPreferencesChange,
    fields_of(DomainPreferencesChange, spam_junk_score="SCORE", languages="CODE"),
)
SEARCH = Field("search", click.STRING, "Only those with TEXT in name or description.")


def _pairs(one: Shown) -> Iterator[tuple[str, str]]:
    yield "domain", one["name"]
    yield "description", one["description"]
    yield "enabled", flag_text(one["enabled"])
    yield "alias of", one["alias_of"] or NONE
    yield "catch-all", one["catch_all"] or NONE
    yield "mailboxes", _of(one["mailboxes"], one["max_mailboxes"])
    yield "aliases", _of(one["aliases"], one["max_aliases"])
    yield "DKIM keys", str(one["dkim_keys"])
    yield "largest quota", size_text(one["max_quota"])
    yield "default quota", size_text(one["default_quota"])
    yield "transport", one["transport"] or NONE
    yield "relay", flag_text(one["is_relay"])
    yield "disposable aliases", f"{one['disposable_aliases']} of each mailbox"
    yield "named aliases", f"{one['named_aliases']} of each mailbox"
    yield "their names", one["named_alias_pattern"] or NONE
    yield "allowed senders", list_text(one["allowed_senders"])
    yield "blocked senders", list_text(one["blocked_senders"])
    yield from pairs_of(one["preferences"])
    yield "created", time_text(one["created"])
    yield "changed", time_text(one["changed"])


def _of(count: int, most: int | None) -> str:
    return str(count) if most is None else f"{count} of {most}"


DOMAIN = Noun(
    kind=KIND,
    word="domain",
    arguments=("name",),
    name="name",
    heads=("DOMAIN", "ALIAS OF", "CATCH-ALL", "STATE", "DESCRIPTION"),
    row=lambda one: (
        one["name"],
        one["alias_of"] or "",
        one["catch_all"] or "",
        state_text(disabled=not one["enabled"], relay=one["is_relay"]),
        one["description"],
    ),
    pairs=_pairs,
)


@click.group()
def domain() -> None:
    """Add, show, change and check domains.

    The commands use the datastore that [accounts.database] in gatepost.toml names, or the API.
    """


domain.add_command(check)


@domain.command("add")
@click.argument("name")
@field_options(FIELDS)
@session_options(make=True)
def add_domain(session: CommandSession, name: str, **values: Any) -> None:
    """Add the domain NAME.

    Creates the database file if there is none yet.
    """
    made = session.one(DOMAIN.step("add", body={"name": name, **given(values)}))
    session.done(f"domain {made['name']} added", made)


DOMAIN.add_list(domain, "List the domains.", SEARCH, search="text")


@domain.command("show")
@click.argument("name")
@session_options()
def show_domain(session: CommandSession, name: str) -> None:
    """Show the domain NAME, with the preferences of its mailboxes."""
    one, *more = session.do(DOMAIN.step("get", [name]), *_more(name))
    found = _whole(one.body, more)
    session.show(found, _pairs(found))


@domain.command("set")
@click.argument("name")
@field_options((*FIELDS, *LISTS, *_PREFERENCES))
@session_options()
def set_domain(session: CommandSession, name: str, **values: Any) -> None:
    """Change the domain NAME.

    A lower limit applies to later additions and changes. Preferences apply to the mailboxes that
    have none of their own.
    """
    changes = given(values)
    insist_on_change(changes)
    where = {"domain": name}
    body = {field.name: changes[field.name] for field in FIELDS if field.name in changes}
    steps = [OperationStep("change-domain", where, body)]
    steps += list_steps(session, where, changes, "domain-listed-sender")
    if wanted := wished(changes, _PREFERENCES):
        steps.append(OperationStep("change-domain-preferences", where, wanted))
    one, *others = session.do(*steps, *_more(name))
    made = _whole(one.body, others[len(steps) - 1 :])
    session.done(f"{DOMAIN.called(made)} set", made)


def _more(name: str) -> tuple[OperationStep, ...]:
    """Return the steps that read what a domain has in other tables."""
    where = {"domain": name}
    return (
        OperationStep("list-domain-listed-senders", where),
        OperationStep("get-domain-preferences", where),
    )


def _whole(one: Shown, more: Sequence[StepResult]) -> dict[str, Any]:
    """Return a domain with the results of `_more`."""
    listed, wanted = more
    return {
        **one,
        "allowed_senders": patterns(listed.body["items"], "allow"),
        "blocked_senders": patterns(listed.body["items"], "block"),
        "preferences": {name: wanted.body[name] for name in wanted.body if name != "version"},
    }


def question(one: Shown) -> str:
    """Return a description of all that is removed with a domain."""
    return (
        f"{one['name']} with its mailboxes ({one['mailboxes']}), aliases ({one['aliases']}) and "
        f"DKIM keys ({one['dkim_keys']})"
    )


DOMAIN.add_remove(
    domain,
    "Remove the domain NAME with its mailboxes, aliases and keys.\n\nOnce it is added again, its "
    "mailboxes can be restored, for the time of `keep_deleted` in [accounts].",
    question,
)
