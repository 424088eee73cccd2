"""`gatepost setup`: the commands of docker-mailserver's `setup` and of docker-post's scripts.

Each does the work of one of our commands, in one transaction. Neither of those systems manages
domains, so a domain is added with the first address in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from accounts.cli.alias import ALIAS
from accounts.cli.domain import DOMAIN, question
from accounts.cli.executor import OperationStep
from accounts.cli.noun import Noun, Shown
from accounts.cli.options import ask, password_file_option, yes_option
from accounts.cli.session import CommandSession, session_options
from accounts.cli.user import USER
from accounts.cli.values import CLEARED, SizeParameter
from accounts.directory import fields
from accounts.store.errors import Invalid

_ELSEWHERE: Final = {
    "config": "`gatepost keys new` makes DKIM keys",
    "relay": "set relayhost and smtp_sasl_password_maps of Postfix for outgoing mail",
    "dovecot-master": "there are no master users: give an administrator a login of their own",
    "debug": "see `gatepost probe`, and the log of the service",
    "fail2ban": "wrong passwords delay logins automatically: see [accounts.attempts]",
}
"""Commands of docker-mailserver without a counterpart here, and the alternatives."""


class _Setup(click.Group):
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _ELSEWHERE:
            raise click.UsageError(f"{cmd_name}: {_ELSEWHERE[cmd_name]}", ctx)
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Setup)
def setup() -> None:
    """Accept the commands of docker-mailserver and docker-post.

    They work like `setup email add` and `addmailuser` there, except that passwords are never on the
    command line, which everybody on the machine can see. The commands use the datastore that
    [accounts.database] in gatepost.toml names, or the API.
    """


@setup.command("help")
@click.pass_context
def show_help(ctx: click.Context) -> None:
    """Show this text."""
    click.echo(ctx.parent.get_help() if ctx.parent else "")


@setup.group()
def email() -> None:
    """Mailboxes."""


@email.command("add")
@click.argument("address")
@click.argument("password", required=False)
@password_file_option
@session_options(make=True)
def email_add(
    session: CommandSession, address: str, password: str | None, password_file: Path | None
) -> None:
    """Do `gatepost user add`, and add the domain, too."""
    _insist_on_none(password)
    _add_user(session, address, password_file, add_domain=True)


@email.command("update")
@click.argument("address")
@click.argument("password", required=False)
@password_file_option
@session_options()
def email_update(
    session: CommandSession, address: str, password: str | None, password_file: Path | None
) -> None:
    """Do `gatepost user password`."""
    _insist_on_none(password)
    _update_user(session, address, password_file)


@email.command("del")
@click.argument("addresses", nargs=-1, required=True)
@yes_option
@session_options()
def email_del(session: CommandSession, addresses: Sequence[str], yes: bool) -> None:
    """Do `gatepost user remove` for each.

    All are removed, or none. `gatepost user restore` brings them back.
    """
    reads = [USER.step("get", [address]) for address in addresses]
    removals = [USER.step("remove", [address]) for address in addresses]
    done = session.do(*reads, *removals, dry_run=True)
    found = [one.body["address"] for one in done[: len(reads)]]
    ask(f"Remove {', '.join(found)} with their rules and app passwords?", yes=yes)
    session.do(*removals)
    session.done(f"removed {', '.join(found)}", {"removed": found})


@email.command("list")
@session_options()
def email_list(session: CommandSession) -> None:
    """Do `gatepost user list`."""
    _show_all(session, USER)


@email.command("restrict")
@click.argument("verb", type=click.Choice(["add", "del", "list"]))
@click.argument("direction", type=click.Choice(["send", "receive"]))
@click.argument("address", required=False)
@session_options()
def email_restrict(session: CommandSession, verb: str, direction: str, address: str | None) -> None:
    """Do `gatepost user set --may-send no`.

    For receive it is --may-receive. `del` allows it again, `list` shows those that may not.
    """
    field = f"may_{direction}"
    if verb == "list":
        restricted = (one for one in session.pages(USER.step("list")) if not one[field])
        session.list(restricted, ("ADDRESS",), lambda one: (one["address"],))
        return
    if address is None:
        raise click.UsageError("name the address")
    _set_user(session, address, {field: verb == "del"})


@setup.group("alias")
def alias_words() -> None:
    """Aliases."""


@alias_words.command("add")
@click.argument("address")
@click.argument("recipient")
@session_options(make=True)
def alias_add(session: CommandSession, address: str, recipient: str) -> None:
    """Do `gatepost alias add`.

    If the alias exists, RECIPIENT becomes a further target. Commas separate several.
    """
    _lead(session, address, recipient.split(","), add_domain=True)


@alias_words.command("del")
@click.argument("address")
@click.argument("recipient")
@session_options()
def alias_del(session: CommandSession, address: str, recipient: str) -> None:
    """Do `gatepost alias set --remove-target`.

    The alias is removed with its last target.
    """
    others = recipient.split(",")
    change = ALIAS.step("change", [address], body={"remove_targets": others})
    found = ALIAS.find(session, [address])
    if found is not None and _folded(others) == _folded(found.body["targets"]):
        session.do(ALIAS.step("remove", [address], match=found.tag or "*"))
        session.done(f"alias {found.body['address']} removed", {"removed": found.body["address"]})
        return
    _tell_targets(session, session.one(change))


@alias_words.command("list")
@session_options()
def alias_list(session: CommandSession) -> None:
    """Do `gatepost alias list`."""
    _show_all(session, ALIAS)


@setup.group()
def quota() -> None:
    """Quotas."""


@quota.command("set")
@click.argument("address")
@click.argument("size", type=SizeParameter("SIZE"))
@session_options()
def quota_set(session: CommandSession, address: str, size: object) -> None:
    """Do `gatepost user set --quota SIZE`; 0 is no limit."""
    limit = None if size is CLEARED or not size else int(str(size))
    _set_user(session, address, {"quota": limit})


@quota.command("del")
@click.argument("address")
@session_options()
def quota_del(session: CommandSession, address: str) -> None:
    """Do `gatepost user set --quota none`."""
    _set_user(session, address, {"quota": None})


@setup.command()
@click.option("-i", "add", is_flag=True, help="Add it; this is the default.")
@click.option("-D", "remove", is_flag=True, help="Remove it.")
@click.argument("domain")
@yes_option
@session_options(make=True)
def addmaildomain(session: CommandSession, add: bool, remove: bool, domain: str, yes: bool) -> None:
    """Do `gatepost domain add`, or `remove` with -D."""
    if add and remove:
        raise click.UsageError("-i and -D exclude each other")
    if remove:
        one = DOMAIN.remove(session, [domain], question, yes=yes)
        session.done(f"{DOMAIN.called(one)} removed", DOMAIN.removed(one))
        return
    made = session.one(DOMAIN.step("add", body={"name": domain}))
    session.done(f"{DOMAIN.called(made)} added", made)


@setup.command()
@click.option("-i", "add", is_flag=True, help="Add it; this is the default.")
@click.option("-u", "update", is_flag=True, help="Give it another password.")
@click.argument("name")
@click.argument("domain")
@click.argument("password", required=False)
@password_file_option
@session_options()
def addmailuser(
    session: CommandSession,
    add: bool,
    update: bool,
    name: str,
    domain: str,
    password: str | None,
    password_file: Path | None,
) -> None:
    """Do `gatepost user add`, or `password` with -u.

    The address is NAME@DOMAIN.
    """
    _insist_on_none(password)
    if add and update:
        raise click.UsageError("-i and -u exclude each other")
    address = f"{name}@{domain}"
    if update:
        _update_user(session, address, password_file)
    else:
        _add_user(session, address, password_file, add_domain=False)


@setup.command()
@click.argument("alias_name")
@click.argument("alias_domain")
@click.argument("name")
@click.argument("domain")
@session_options()
def addmailalias(
    session: CommandSession, alias_name: str, alias_domain: str, name: str, domain: str
) -> None:
    """Do `gatepost alias add`.

    The alias is ALIAS_NAME@ALIAS_DOMAIN and leads to NAME@DOMAIN.
    """
    _lead(session, f"{alias_name}@{alias_domain}", [f"{name}@{domain}"], add_domain=False)


def _insist_on_none(password: str | None) -> None:
    if password is not None:
        raise click.UsageError(
            "everybody on the machine can see a password on the command line: leave it out, and "
            "type it or use --password-file"
        )


def _show_all(session: CommandSession, noun: Noun) -> None:
    session.list(session.pages(noun.step("list")), noun.heads, noun.row)


def _add_user(
    session: CommandSession, address: str, password_file: Path | None, *, add_domain: bool
) -> None:
    before = _new_domain(session, address) if add_domain else []
    USER.add_with_password(session, {"address": address}, password_file, *before)


def _update_user(session: CommandSession, address: str, password_file: Path | None) -> None:
    USER.set_password(session, "set-password", address, password_file, no_password=False)


def _set_user(session: CommandSession, address: str, changes: dict[str, object]) -> None:
    made = session.one(USER.step("change", [address], body=changes))
    session.done(f"{USER.called(made)} set", made)


def _lead(session: CommandSession, address: str, more: Sequence[str], *, add_domain: bool) -> None:
    """Add an alias, or further targets to an existing one."""
    if (found := ALIAS.find(session, [address])) is not None:
        there = found.body["targets"]
        change = {"targets": list(dict.fromkeys([*there, *more]))}
        step = ALIAS.step("change", [address], body=change, match=found.tag or "*")
        _tell_targets(session, session.one(step))
        return
    before = _new_domain(session, address) if add_domain else []
    body = {"address": address, "targets": list(more)}
    _tell_targets(session, session.do(*before, ALIAS.step("add", body=body))[-1].body)


def _tell_targets(session: CommandSession, one: Shown) -> None:
    session.done(f"{one['address']} leads to {', '.join(one['targets'])}", one)


def _folded(targets: Sequence[str]) -> set[str]:
    """Return targets in stored form; nothing if one of them is not an address."""
    try:
        return {fields.target("targets", target).lower() for target in targets}
    except Invalid:
        return set()


def _new_domain(session: CommandSession, address: str) -> list[OperationStep]:
    """Return the step that adds the domain of an address, if it is missing."""
    try:
        name = fields.alias_address("address", address).domain
    except Invalid:
        return []  # the step that adds the address reports the error
    if DOMAIN.find(session, [name]) is not None:
        return []
    return [DOMAIN.step("add", body={"name": name})]
