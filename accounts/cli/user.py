"""`gatepost user`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from accounts.cli.deleted_users import list_deleted, purge_users, restore_user, with_deleted
from accounts.cli.executor import Declined, OperationStep, StepResult
from accounts.cli.filter_options import (
    LISTS,
    list_steps,
    pairs_of,
    patterns,
    score_text,
    wished,
    wishes_of,
)
from accounts.cli.moving import list_moves, move_user
from accounts.cli.noun import Noun, Shown
from accounts.cli.options import (
    Field,
    field_options,
    fields_of,
    given,
    insist_on_change,
    password_options,
)
from accounts.cli.session import MAX_PAGE, CommandSession, session_options
from accounts.cli.values import (
    NONE,
    flag_text,
    list_text,
    size_text,
    state_text,
    time_text,
)
from accounts.http.models.belongings import PreferencesChange
from accounts.http.models.mailboxes import MailboxChange
from accounts.http.resources.mailboxes import MAILBOX as KIND

FIELDS = fields_of(MailboxChange, forwards="ADDRESS", store="NAME")

_PREFERENCES = wishes_of(
    PreferencesChange,
    fields_of(
        PreferencesChange,
        spam_junk_score="SCORE",
        spam_reject_score="SCORE",
        languages="CODE",
    ),
)

_LISTS = (
    Field("send_as", click.STRING, "An address or @DOMAIN that it may send as.", True, "ADDRESS"),
    Field("not_send_as", click.STRING, "A right to send to remove.", True, "ADDRESS"),
    *LISTS,
)


def _pairs(one: Shown) -> Iterator[tuple[str, str]]:
    wanted = one["preferences"]
    yield "address", one["address"]
    yield "name", one["display_name"]
    yield "quota", size_text(one["quota"])
    yield "enabled", flag_text(one["enabled"])
    has_password, changed = one["has_password"], one["password_changed"]
    yield "password", time_text(changed) if has_password else "never set"
    yield "may log in", flag_text(one["may_login"])
    yield "may send", flag_text(one["may_send"])
    yield "may receive", flag_text(one["may_receive"])
    yield "forwards to", list_text(one["forwards"])
    yield "keeps a copy", flag_text(one["keep_copy"])
    yield "store", one["store"] or NONE
    yield "may send as", list_text(one["send_as"])
    yield "allowed senders", list_text(one["allowed_senders"])
    yield "blocked senders", list_text(one["blocked_senders"])
    yield "greylisting", flag_text(wanted["greylist"])
    yield "spam check", flag_text(wanted["spam_check"])
    yield from pairs_of(wanted)
    yield "reject score", score_text(wanted["spam_reject_score"])
    yield "virus check", flag_text(wanted["virus_check"])
    yield "last login", time_text(one["last_login"])
    yield "mail is in", one["home"] or NONE
    yield "created", time_text(one["created"])
    yield "changed", time_text(one["changed"])


USER = Noun(
    kind=KIND,
    word="user",
    arguments=("address",),
    name="address",
    heads=("ADDRESS", "NAME", "QUOTA", "STATE", "FORWARDS TO"),
    row=lambda one: (
        one["address"],
        one["display_name"],
        size_text(one["quota"]),
        state_text(
            disabled=not one["enabled"],
            no_password=not one["has_password"],
            no_login=not one["may_login"],
            no_sending=not one["may_send"],
            no_receiving=not one["may_receive"],
        ),
        ", ".join(one["forwards"]),
    ),
    pairs=_pairs,
)


@click.group()
def user() -> None:
    """Add, show and change mailboxes and their passwords.

    The commands use the datastore that [accounts.database] in gatepost.toml names, or the API.
    """


@user.command("add")
@click.argument("address")
@password_options
@field_options(FIELDS)
@session_options()
def add_user(
    session: CommandSession,
    address: str,
    password_file: Path | None,
    no_password: bool,
    **values: Any,
) -> None:
    """Add the mailbox ADDRESS, in an existing domain."""
    body = {"address": address, **given(values)}
    USER.add_with_password(session, body, password_file, no_password=no_password)


_list_users = USER.lister(search="text")


@user.command("list")
@field_options(
    (
        Field("domain", click.STRING, "Only those in this domain."),
        Field("search", click.STRING, "Only those with TEXT in address or name."),
    )
)
@click.option("--deleted", is_flag=True, help="Those that were removed, and can be restored.")
@session_options()
def list_users(session: CommandSession, deleted: bool, **values: Any) -> None:
    """List mailboxes."""
    if deleted:
        list_deleted(session, values["domain"], values["search"])
    else:
        _list_users(session, **values)


@user.command("show")
@click.argument("address")
@session_options()
def show_user(session: CommandSession, address: str) -> None:
    """Show the mailbox ADDRESS, with its rights and preferences.

    The space that it uses comes from doveadm, if [accounts.dovecot] names it where the datastore
    is; otherwise it is unknown.
    """
    usage = OperationStep("get-usage", {"address": address})
    try:
        one, used, *more = session.do(USER.step("get", [address]), usage, *_more(address))
    except Declined as error:
        raise with_deleted(session, address, error) from None
    found = _whole(session, one.body, more)
    octets, messages = used.body["octets"], used.body["messages"]
    holds = "unknown" if octets is None else f"{octets / (1 << 20):.1f} MiB"
    if messages is not None:
        holds += f" in {messages} messages" if messages != 1 else " in 1 message"
    made = {**found, "usage": octets, "messages": messages}
    session.show(made, [*_pairs(found), ("holds", holds)])


@user.command("set")
@click.argument("address")
@field_options((*FIELDS, *_LISTS, *_PREFERENCES))
@session_options()
def set_user(session: CommandSession, address: str, **values: Any) -> None:
    """Change the mailbox ADDRESS."""
    changes = given(values)
    insist_on_change(changes)
    steps = list(_changes(session, address, changes))
    one, *others = session.do(*steps, *_more(address))
    made = _whole(session, one.body, others[len(steps) - 1 :])
    session.done(f"user {made['address']} set", made)


@user.command("password")
@click.argument("address")
@password_options
@session_options()
def change_password(
    session: CommandSession, address: str, password_file: Path | None, no_password: bool
) -> None:
    """Give the mailbox ADDRESS another password."""
    USER.set_password(session, "set-password", address, password_file, no_password=no_password)


@user.command("rename")
@click.argument("address")
@click.argument("new")
@click.option("--keep-alias", is_flag=True, help="Leave an alias that leads to the new address.")
@session_options()
def rename_user(session: CommandSession, address: str, new: str, keep_alias: bool) -> None:
    """Give the mailbox ADDRESS the address NEW.

    Aliases, forwarding and rights follow, and the mail stays with it.
    """
    body = {"address": new, "keep_alias": keep_alias}
    made = session.one(USER.step("rename", [address], body=body))
    session.done(f"user {made['address']} renamed", made)


USER.add_remove(
    user,
    "Remove the mailbox ADDRESS.\n\n"
    "It can be restored, with its mail, for the time of `keep_deleted` in [accounts]. Aliases that "
    "lead to it stay.",
    lambda one: f"{one['address']} with its rules and app passwords",
)
for command in (restore_user, purge_users, move_user, list_moves):
    user.add_command(command)


def _changes(
    session: CommandSession, address: str, changes: dict[str, Any]
) -> Iterator[OperationStep]:
    """Yield the steps that change a mailbox, its rights, listed senders and preferences."""
    where = {"address": address}
    # also without fields of its own, so that a missing mailbox is reported
    yield OperationStep("change-mailbox", where, _some(changes, FIELDS))
    for sender in changes.get("send_as", ()):
        yield OperationStep("add-sender-right", where, {"sender": sender})
    for sender in changes.get("not_send_as", ()):
        yield OperationStep("remove-sender-right", where | {"sender": sender})
    yield from list_steps(session, where, changes, "listed-sender")
    if wanted := wished(changes, _PREFERENCES):
        yield OperationStep("change-preferences", where, wanted)


def _some(changes: dict[str, Any], fields: Sequence[Field]) -> dict[str, Any]:
    return {field.name: changes[field.name] for field in fields if field.name in changes}


def _more(address: str) -> tuple[OperationStep, ...]:
    """Return the steps that read the belongings of a mailbox from other tables."""
    where = {"address": address}
    return (
        OperationStep("list-sender-rights", where, query={"limit": MAX_PAGE}),
        OperationStep("list-listed-senders", where),
        OperationStep("get-preferences", where),
    )


def _whole(session: CommandSession, one: Shown, more: Sequence[StepResult]) -> dict[str, Any]:
    """Return a mailbox with the results of `_more`."""
    rights, listed, wanted = more
    senders = [right["sender"] for right in rights.body["items"]]
    if rights.next is not None:
        where = {"address": one["address"]}
        every = session.pages(OperationStep("list-sender-rights", where))
        senders = [right["sender"] for right in every]
    return {
        **one,
        "send_as": senders,
        "allowed_senders": patterns(listed.body["items"], "allow"),
        "blocked_senders": patterns(listed.body["items"], "block"),
        "preferences": {name: wanted.body[name] for name in wanted.body if name != "version"},
    }
