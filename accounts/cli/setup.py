"""`gatepost setup`: the words of docker-mailserver's `setup` and of docker-post's scripts.

Each does what a command of ours does, in one transaction. Neither of those systems has domains of
its own, so a domain is added with the first address in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from accounts.cli.alias import print_aliases, without
from accounts.cli.datastore import opened
from accounts.cli.new_password import new_hash
from accounts.cli.options import ask, common_options, password_file_option, yes_option
from accounts.cli.output import as_data, pages, print_done, print_list
from accounts.cli.user import new_password, print_users
from accounts.cli.values import CLEARED, Size
from accounts.directory import aliases, domains, fields, mailboxes
from accounts.directory.aliases import Alias
from accounts.directory.mailboxes import Mailbox
from accounts.store.errors import NotFound
from accounts.store.transaction import Write

_ELSEWHERE: Final = {
    "config": "keys for DKIM are made with `gatepost keys new`",
    "relay": "mail goes out by Postfix's own relayhost and smtp_sasl_password_maps",
    "dovecot-master": "there are no master users: give an administrator a login of their own",
    "debug": "see `gatepost probe`, and the log of the service",
    "fail2ban": "logins slow down by themselves after wrong passwords: see [accounts.attempts]",
}
"""Words of docker-mailserver that have no command here, and what there is in their place."""


class _Setup(click.Group):
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _ELSEWHERE:
            raise click.UsageError(f"{cmd_name}: {_ELSEWHERE[cmd_name]}", ctx)
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Setup)
def setup() -> None:
    """Accept the commands of docker-mailserver and docker-post.

    They are as `setup email add` and `addmailuser` there, but for passwords, which are never
    on the command line: everybody on the machine can see it. The commands use the datastore that
    [accounts.database] in gatepost.toml names.
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
@common_options
def email_add(
    address: str,
    password: str | None,
    password_file: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """As `gatepost user add`; the domain is added, too."""
    _insist_on_none(password)
    _add_user(address, password_file, config, as_json, add_domain=True)


@email.command("update")
@click.argument("address")
@click.argument("password", required=False)
@password_file_option
@common_options
def email_update(
    address: str,
    password: str | None,
    password_file: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """As `gatepost user password`."""
    _insist_on_none(password)
    with opened(config) as store:
        made = new_password(store, address, password_file)
    print_done(f"password of {made.address} set", as_data(made), as_json=as_json)


@email.command("del")
@click.argument("addresses", nargs=-1, required=True)
@yes_option
@common_options
def email_del(addresses: Sequence[str], yes: bool, config: Path | None, as_json: bool) -> None:
    """As `gatepost user remove` for each.

    All are removed, or none. Mail stays where it is.
    """

    def remove(write: Write) -> list[str]:
        removed = []
        for address in addresses:
            with write.attempt("mailbox.remove", address):
                found = mailboxes.get(write.connection, address)
                mailboxes.remove(write, found.address)
            removed.append(found.address)
        return removed

    with opened(config) as store:
        found = store.rehearse(remove)
        ask(f"Remove {', '.join(found)} with their rules and app passwords?", yes=yes)
        store.write(remove)
    print_done(f"removed {', '.join(found)}", {"removed": found}, as_json=as_json)


@email.command("list")
@common_options
def email_list(config: Path | None, as_json: bool) -> None:
    """As `gatepost user list`."""
    with opened(config) as store:
        print_users(store, None, None, as_json=as_json)


@email.command("restrict")
@click.argument("verb", type=click.Choice(["add", "del", "list"]))
@click.argument("direction", type=click.Choice(["send", "receive"]))
@click.argument("address", required=False)
@common_options
def email_restrict(
    verb: str, direction: str, address: str | None, config: Path | None, as_json: bool
) -> None:
    """As `gatepost user set --may-send no`.

    For receive it is --may-receive. `del` allows it again, `list` shows those that may not.
    """
    field = f"may_{direction}"
    if verb == "list":
        with opened(config) as store:
            found = pages(
                store,
                lambda connection, after, limit: mailboxes.find(
                    connection, after=after, limit=limit
                ),
                lambda one: one.address,
            )
            restricted = (one for one in found if not getattr(one, field))
            print_list(
                restricted, ("ADDRESS",), lambda one: (one.address,), as_data, as_json=as_json
            )
        return
    if address is None:
        raise click.UsageError("name the address")

    def change(write: Write) -> Mailbox:
        if direction == "send":
            return mailboxes.change(write, address, None, may_send=verb == "del")
        return mailboxes.change(write, address, None, may_receive=verb == "del")

    with opened(config) as store:
        made = store.write(change)
    print_done(f"user {made.address} set", as_data(made), as_json=as_json)


@setup.group("alias")
def alias_words() -> None:
    """Aliases."""


@alias_words.command("add")
@click.argument("address")
@click.argument("recipient")
@common_options
def alias_add(address: str, recipient: str, config: Path | None, as_json: bool) -> None:
    """As `gatepost alias add`.

    If the alias is there, RECIPIENT is a further target. Commas separate several.
    """
    with opened(config, make=True) as store:
        made = store.write(
            lambda write: _lead(write, address, recipient.split(","), add_domain=True)
        )
    print_done(f"{made.address} leads to {', '.join(made.targets)}", as_data(made), as_json=as_json)


@alias_words.command("del")
@click.argument("address")
@click.argument("recipient")
@common_options
def alias_del(address: str, recipient: str, config: Path | None, as_json: bool) -> None:
    """As `gatepost alias set --remove-target`.

    The alias is removed with its last target.
    """

    def work(write: Write) -> Alias | str:
        with write.attempt("alias.change", address):
            before = aliases.get(write.connection, address)
            left = without(before, recipient.split(","))
            if left:
                return aliases.change(write, before.address, None, targets=left)
            aliases.remove(write, before.address)
            return before.address

    with opened(config) as store:
        made = store.write(work)
    if isinstance(made, str):
        print_done(f"alias {made} removed", {"removed": made}, as_json=as_json)
    else:
        text = f"{made.address} leads to {', '.join(made.targets)}"
        print_done(text, as_data(made), as_json=as_json)


@alias_words.command("list")
@common_options
def alias_list(config: Path | None, as_json: bool) -> None:
    """As `gatepost alias list`."""
    with opened(config) as store:
        print_aliases(store, as_json=as_json)


@setup.group()
def quota() -> None:
    """Quotas."""


@quota.command("set")
@click.argument("address")
@click.argument("size", type=Size("SIZE"))
@common_options
def quota_set(address: str, size: object, config: Path | None, as_json: bool) -> None:
    """As `gatepost user set --quota SIZE`; 0 is no limit, as there."""
    limit = None if size is CLEARED or not size else int(str(size))
    _set_quota(address, limit, config, as_json)


@quota.command("del")
@click.argument("address")
@common_options
def quota_del(address: str, config: Path | None, as_json: bool) -> None:
    """As `gatepost user set --quota none`."""
    _set_quota(address, None, config, as_json)


@setup.command()
@click.option("-i", "add", is_flag=True, help="Add it, as without an option.")
@click.option("-D", "remove", is_flag=True, help="Remove it.")
@click.argument("domain")
@yes_option
@common_options
def addmaildomain(
    add: bool, remove: bool, domain: str, yes: bool, config: Path | None, as_json: bool
) -> None:
    """As `gatepost domain add`, or `remove` with -D."""
    from accounts.cli.domain import add_domain, remove_domain

    if add and remove:
        raise click.UsageError("-i and -D do not go together")
    context = click.get_current_context()
    if remove:
        context.invoke(remove_domain, name=domain, yes=yes, config=config, as_json=as_json)
    else:
        context.invoke(add_domain, name=domain, config=config, as_json=as_json)


@setup.command()
@click.option("-i", "add", is_flag=True, help="Add it, as without an option.")
@click.option("-u", "update", is_flag=True, help="Give it another password.")
@click.argument("name")
@click.argument("domain")
@click.argument("password", required=False)
@password_file_option
@common_options
def addmailuser(
    add: bool,
    update: bool,
    name: str,
    domain: str,
    password: str | None,
    password_file: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """As `gatepost user add`, or `password` with -u.

    The address is NAME@DOMAIN.
    """
    _insist_on_none(password)
    if add and update:
        raise click.UsageError("-i and -u do not go together")
    address = f"{name}@{domain}"
    if not update:
        _add_user(address, password_file, config, as_json, add_domain=False)
        return
    with opened(config) as store:
        made = new_password(store, address, password_file)
    print_done(f"password of {made.address} set", as_data(made), as_json=as_json)


@setup.command()
@click.argument("alias_name")
@click.argument("alias_domain")
@click.argument("name")
@click.argument("domain")
@common_options
def addmailalias(
    alias_name: str,
    alias_domain: str,
    name: str,
    domain: str,
    config: Path | None,
    as_json: bool,
) -> None:
    """As `gatepost alias add`.

    The alias is ALIAS_NAME@ALIAS_DOMAIN and leads to NAME@DOMAIN.
    """
    address, target = f"{alias_name}@{alias_domain}", f"{name}@{domain}"
    with opened(config) as store:
        made = store.write(lambda write: _lead(write, address, [target], add_domain=False))
    print_done(f"{made.address} leads to {', '.join(made.targets)}", as_data(made), as_json=as_json)


def _insist_on_none(password: str | None) -> None:
    if password is not None:
        raise click.UsageError(
            "a password on the command line can be seen by everybody on the machine: leave it out, "
            "and type it or use --password-file"
        )


def _add_user(
    address: str,
    password_file: Path | None,
    config: Path | None,
    as_json: bool,
    *,
    add_domain: bool,
) -> None:
    hashed: str | None = None

    def work(write: Write) -> Mailbox:
        with write.attempt("mailbox.add", address):
            if add_domain:
                _have_domain(write, address)
            return mailboxes.add(write, address, password=hashed)

    with opened(config, make=add_domain) as store:
        made = store.rehearse(work)
        hashed = new_hash(made.address, store.passwords, password_file)
        made = store.write(work)
    print_done(f"user {made.address} added", as_data(made), as_json=as_json)


def _lead(write: Write, address: str, more: Sequence[str], *, add_domain: bool) -> Alias:
    with write.attempt("alias.add", address):
        if add_domain:
            _have_domain(write, address)
        try:
            before = aliases.get(write.connection, address)
        except NotFound:
            return aliases.add(write, address, targets=more)
        targets = list(dict.fromkeys([*before.targets, *more]))
        return aliases.change(write, before.address, None, targets=targets)


def _have_domain(write: Write, address: str) -> None:
    """Add the domain of an address if it is not there."""
    name = fields.alias_address("address", address).domain
    try:
        domains.get(write.connection, name)
    except NotFound:
        domains.add(write, name)


def _set_quota(address: str, limit: int | None, config: Path | None, as_json: bool) -> None:
    with opened(config) as store:
        made = store.write(lambda write: mailboxes.change(write, address, None, quota=limit))
    print_done(f"user {made.address} set", as_data(made), as_json=as_json)
