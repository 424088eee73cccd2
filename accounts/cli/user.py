"""`gatepost user`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection

from accounts.cli.datastore import Datastore, opened
from accounts.cli.new_password import new_hash
from accounts.cli.options import (
    FLAG,
    Field,
    ask,
    common_options,
    field_options,
    given,
    insist_on_change,
    password_options,
    yes_option,
)
from accounts.cli.output import as_data, pages, print_done, print_list, print_object
from accounts.cli.values import (
    NONE,
    Decimal,
    OrNone,
    Size,
    flag_text,
    list_text,
    size_text,
    state_text,
    time_text,
)
from accounts.directory import listed_senders, mailboxes, preferences, sender_rights
from accounts.directory.mailboxes import Mailbox
from accounts.directory.preferences import Preferences
from accounts.store.transaction import Write

FIELDS = (
    Field("display_name", click.STRING, "The name of the person."),
    Field("quota", Size("SIZE"), "Most that it holds, as 5G; by default that of the domain."),
    Field("enabled", FLAG, "Whether it is in use at all."),
    Field("may_login", FLAG, "Whether its password and app passwords let anybody in."),
    Field("may_send", FLAG, "Whether it may send mail."),
    Field("may_receive", FLAG, "Whether mail is taken for it."),
    Field(
        "forwards",
        click.STRING,
        "An address that its mail goes to; may be repeated, and replaces all. none: nowhere.",
        several=True,
        metavar="ADDRESS",
    ),
    Field("keep_copy", FLAG, "Whether mail that is forwarded is kept, too."),
    Field("store", OrNone("NAME"), "The mail store that has it, if there are several."),
)

_PREFERENCES = (
    Field("greylist", FLAG, "Whether unknown senders have to try again."),
    Field("spam_check", FLAG, "Whether its mail is checked for spam."),
    Field("spam_junk_score", Decimal("SCORE"), "From this score on mail goes to Junk."),
    Field("spam_reject_score", Decimal("SCORE"), "From this score on mail is refused."),
    Field("virus_check", FLAG, "Whether its mail is checked for viruses."),
)

_LISTS = (
    Field("send_as", click.STRING, "An address or @DOMAIN it may send as.", True, "ADDRESS"),
    Field("not_send_as", click.STRING, "One that it may send as no more.", True, "ADDRESS"),
    Field("allow_sender", click.STRING, "Past the spam filter.", True, "ADDRESS|@DOMAIN"),
    Field("block_sender", click.STRING, "Its mail is refused.", True, "ADDRESS|@DOMAIN"),
    Field("unlist_sender", click.STRING, "Neither of both any more.", True, "ADDRESS|@DOMAIN"),
)


@click.group()
def user() -> None:
    """Add, show and change mailboxes and their passwords.

    The commands use the datastore that [accounts.database] in gatepost.toml names.
    """


@user.command("add")
@click.argument("address")
@password_options
@field_options(FIELDS)
@common_options
def add_user(
    address: str,
    password_file: Path | None,
    no_password: bool,
    config: Path | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Add the mailbox ADDRESS, in a domain that is there."""
    fields = given(values)
    with opened(config) as store:
        if not no_password:
            # before anybody thinks of a password: everything else has to be right
            made = store.rehearse(lambda write: mailboxes.add(write, address, **fields))
            fields["password"] = new_hash(made.address, store.passwords, password_file)
        made = store.write(lambda write: mailboxes.add(write, address, **fields))
    print_done(f"user {made.address} added", as_data(made), as_json=as_json)


@user.command("list")
@click.option("--domain", help="Only those of this domain.")
@click.option("--search", metavar="TEXT", help="Only those with TEXT in address or name.")
@common_options
def list_users(domain: str | None, search: str | None, config: Path | None, as_json: bool) -> None:
    """List mailboxes."""
    with opened(config) as store:
        print_users(store, domain, search, as_json=as_json)


def print_users(store: Datastore, domain: str | None, search: str | None, *, as_json: bool) -> None:
    """Print the mailboxes of a domain, or all of them."""
    print_list(
        pages(
            store,
            lambda connection, after, limit: mailboxes.find(
                connection, domain=domain, text=search, after=after, limit=limit
            ),
            lambda one: one.address,
        ),
        ("ADDRESS", "NAME", "QUOTA", "STATE", "FORWARDS TO"),
        lambda one: (
            one.address,
            one.display_name,
            size_text(one.quota),
            _state(one),
            ", ".join(one.forwards),
        ),
        as_data,
        as_json=as_json,
    )


@user.command("show")
@click.argument("address")
@common_options
def show_user(address: str, config: Path | None, as_json: bool) -> None:
    """Show the mailbox ADDRESS, with its rights and preferences."""
    with opened(config) as store:
        one, more = store.read(
            lambda connection: (mailboxes.get(connection, address), _more(connection, address))
        )
    print_object(as_data(one, **more), _pairs(one, more), as_json=as_json)


@user.command("set")
@click.argument("address")
@field_options((*FIELDS, *_LISTS, *_PREFERENCES))
@common_options
def set_user(address: str, config: Path | None, as_json: bool, **values: Any) -> None:
    """Change the mailbox ADDRESS."""
    changes = given(values)
    insist_on_change(changes)
    with opened(config) as store:
        one, more = store.write(lambda write: _changed(write, address, changes))
    print_done(f"user {one.address} set", as_data(one, **more), as_json=as_json)


@user.command("password")
@click.argument("address")
@password_options
@common_options
def change_password(
    address: str,
    password_file: Path | None,
    no_password: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """Give the mailbox ADDRESS another password."""
    with opened(config) as store:
        made = new_password(store, address, password_file, no_password=no_password)
    text = f"password of {made.address} {'removed' if no_password else 'set'}"
    print_done(text, as_data(made), as_json=as_json)


def new_password(
    store: Datastore, address: str, file: Path | None, *, no_password: bool = False
) -> Mailbox:
    """Ask for a new password of a mailbox and store its hash."""
    found = store.rehearse(lambda write: _found(write, address))
    hashed = None if no_password else new_hash(found.address, store.passwords, file)
    return store.write(lambda write: mailboxes.change(write, found.address, None, password=hashed))


@user.command("rename")
@click.argument("address")
@click.argument("new")
@click.option("--keep-alias", is_flag=True, help="Leave an alias that leads to the new address.")
@common_options
def rename_user(
    address: str, new: str, keep_alias: bool, config: Path | None, as_json: bool
) -> None:
    """Give the mailbox ADDRESS the address NEW.

    Aliases, forwarding and rights that name the old address name the new one. The stored mail has
    to be moved by whoever keeps it.
    """
    with opened(config) as store:
        made = store.write(
            lambda write: mailboxes.rename(write, address, new, keep_alias=keep_alias)
        )
    print_done(f"user {made.address} renamed", as_data(made), as_json=as_json)


@user.command("remove")
@click.argument("address")
@yes_option
@common_options
def remove_user(address: str, yes: bool, config: Path | None, as_json: bool) -> None:
    """Remove the mailbox ADDRESS.

    Its rules, app passwords and remote accounts go, too. Its mail stays where it is, and so do
    aliases that lead to it.
    """
    with opened(config) as store:
        removed = remove(store, address, yes=yes)
    print_done(f"user {removed} removed", {"removed": removed}, as_json=as_json)


def remove(store: Datastore, address: str, *, yes: bool) -> str:
    """Remove a mailbox; return its address."""

    def rehearsed(write: Write) -> Mailbox:
        found = _found(write, address)
        mailboxes.remove(write, found.address)
        return found

    found = store.rehearse(rehearsed)
    ask(f"Remove {found.address} with its rules and app passwords?", yes=yes)
    store.write(lambda write: mailboxes.remove(write, found.address, found.version))
    return found.address


def _found(write: Write, address: str) -> Mailbox:
    with write.attempt("mailbox.change", address):
        return mailboxes.get(write.connection, address)


def _changed(write: Write, address: str, changes: dict[str, Any]) -> tuple[Mailbox, dict[str, Any]]:
    """Change a mailbox with its rights, listed senders and preferences."""
    own = {field.name: changes[field.name] for field in FIELDS if field.name in changes}
    wanted = {field.name: changes[field.name] for field in _PREFERENCES if field.name in changes}
    # also without fields of its own: there has to be such a mailbox
    one = mailboxes.change(write, address, None, **own)
    for sender in changes.get("send_as", ()):
        sender_rights.add(write, one.address, sender)
    for sender in changes.get("not_send_as", ()):
        sender_rights.remove(write, one.address, sender)
    for kind in listed_senders.KINDS:
        for sender in changes.get(f"{kind}_sender", ()):
            listed_senders.add(write, one.address, kind, sender)
    for sender in changes.get("unlist_sender", ()):
        _unlist(write, one.address, sender)
    if wanted:
        preferences.change(write, one.address, None, **wanted)
    return one, _more(write.connection, one.address)


def _unlist(write: Write, address: str, sender: str) -> None:
    listed = {one.pattern: one.kind for one in listed_senders.find(write.connection, address)}
    kind = listed.get(sender.lower(), "allow")
    listed_senders.remove(write, address, kind, sender)


def _more(connection: Connection, address: str) -> dict[str, Any]:
    """Return what belongs to a mailbox and is in other tables, as JSON has it."""
    listed = listed_senders.find(connection, address)
    rights = sender_rights.find(connection, mailbox=address, limit=sender_rights.MAX_RIGHTS)
    wanted = asdict(preferences.get(connection, address))
    del wanted["version"]
    return {
        "send_as": [one.sender for one in rights],
        "allowed_senders": [one.pattern for one in listed if one.kind == "allow"],
        "blocked_senders": [one.pattern for one in listed if one.kind == "block"],
        "preferences": wanted,
    }


def _state(one: Mailbox) -> str:
    return state_text(
        disabled=not one.enabled,
        no_password=one.password is None,
        no_login=not one.may_login,
        no_sending=not one.may_send,
        no_receiving=not one.may_receive,
    )


def _pairs(one: Mailbox, more: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "address", one.address
    yield "name", one.display_name
    yield "quota", size_text(one.quota)
    yield "enabled", flag_text(one.enabled)
    yield "password", "never set" if one.password is None else time_text(one.password_changed)
    yield "may log in", flag_text(one.may_login)
    yield "may send", flag_text(one.may_send)
    yield "may receive", flag_text(one.may_receive)
    yield "forwards to", list_text(one.forwards)
    yield "keeps a copy", flag_text(one.keep_copy)
    yield "store", one.store or NONE
    yield "may send as", _many(more["send_as"])
    yield "allowed senders", _many(more["allowed_senders"])
    yield "blocked senders", _many(more["blocked_senders"])
    yield from _preference_pairs(Preferences(**more["preferences"]))
    yield "last login", time_text(one.last_login)
    yield "created", time_text(one.created)
    yield "changed", time_text(one.changed)


def _preference_pairs(wanted: Preferences) -> Iterator[tuple[str, str]]:
    yield "greylisting", flag_text(wanted.greylist)
    yield "spam check", flag_text(wanted.spam_check)
    yield "junk score", _score(wanted.spam_junk_score)
    yield "reject score", _score(wanted.spam_reject_score)
    yield "virus check", flag_text(wanted.virus_check)


def _many(values: Sequence[str]) -> str:
    return list_text(values)


def _score(score: float | None) -> str:
    return "that of the service" if score is None else f"{score:g}"
