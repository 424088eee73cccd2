"""Execution of a plan by the operations of the directory, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Table, and_, select, update

from accounts.directory import (
    administrators,
    aliases,
    app_passwords,
    dkim_keys,
    domain_preferences,
    domains,
    listed_senders,
    mailboxes,
    preferences,
    remote_accounts,
    sender_rights,
    sieve_rules,
)
from accounts.exchange.comparison import TIMES, Passwords, PlanCheck
from accounts.exchange.document import (
    AppPasswordEntry,
    DkimKeyEntry,
    Document,
    DocumentPart,
    RemoteAccountEntry,
    SieveRuleEntry,
)
from accounts.exchange.export import export
from accounts.exchange.hashes import is_password, plain_text
from accounts.exchange.plan import DOMAIN_PARTS, PARTS, make_plan
from accounts.exchange.plan_text import title
from accounts.exchange.planned import PlannedChange
from accounts.exchange.unsealing import open_secret, unsealed
from accounts.store import schema
from accounts.store.errors import NoSuchObject, RefusalError
from accounts.store.seal import SealError, SecretSeal
from accounts.store.transaction import Write

MOST_PASSES = 5
"""Times that refused changes are tried again after the others: a loop of aliases may be gone."""

SHOWN = 10
"""Conflicts in the text of a refusal."""

_NAMED = ("protocol", "host", "login")

HashPassword = Callable[[str], str]
"""Function that returns the hash to store for a password in clear text."""


class ImportRefused(RefusalError):  # noqa: N818
    """An import has conflicts, so nothing was written. `outcome` lists them all."""

    def __init__(self, outcome: ImportOutcome) -> None:
        lines = [f"{title(one)}: {one.reason}" for one in outcome.refused[:SHOWN]]
        if len(outcome.refused) > SHOWN:
            lines.append(f"and {len(outcome.refused) - SHOWN} more")
        super().__init__("; ".join(lines))
        self.outcome = outcome
        self.action = "accounts.import"
        self.subject = "accounts"


@dataclass(frozen=True, slots=True)
class ImportOutcome:
    """The result of an import: changes made, objects kept, changes refused with their reasons."""

    done: tuple[PlannedChange, ...]
    kept: int
    refused: tuple[PlannedChange, ...]


def import_document(
    write: Write,
    document: Document,
    seal: SecretSeal,
    hash_password: HashPassword,
    *,
    passwords: Passwords = "source",
    check: PlanCheck = is_password,
    partly: bool = False,
) -> ImportOutcome:
    """Compare a document with the datastore and carry out what differs.

    For a dry run, call it in `Database.rehearse`, and print `plan_lines` of the outcome. Raises
    `ImportRefused` if there is a conflict, unless `partly` is true, and `SealError` if a secret of
    the datastore cannot be decrypted.
    """
    addresses = [one.address for one in document.mailboxes]
    addresses += [one.address for one in document.aliases]
    names = {address.rpartition("@")[2] for address in addresses}
    names |= {one.name for one in document.domains}
    present = export(write.connection, seal=seal, domains=names)
    wanted = unsealed(document, seal)
    changes = make_plan(wanted, present, passwords=passwords, check=check)
    return apply(write, changes, seal, hash_password, partly=partly)


def apply(
    write: Write,
    changes: Sequence[PlannedChange],
    seal: SecretSeal,
    hash_password: HashPassword,
    *,
    partly: bool = False,
) -> ImportOutcome:
    """Carry out the changes of a plan. Raises as `import_document`."""
    work = _Work(write, seal, hash_password)
    refused = [one for one in changes if one.action == "conflict"]
    pending = [one for one in changes if one.action in ("add", "change")]
    done: list[PlannedChange] = []
    for _ in range(MOST_PASSES):
        again = []
        for change in pending:
            reason = work.carry_out(change)
            if reason is None:
                done.append(change)
            else:
                again.append((change, reason))
        if not again or len(again) == len(pending):
            break
        pending = [change for change, _ in again]
    refused += [_refused(change, reason) for change, reason in again]
    kept = sum(one.action == "keep" for one in changes)
    outcome = ImportOutcome(tuple(done), kept, tuple(refused))
    if refused and not partly:
        raise ImportRefused(outcome)
    return outcome


def _refused(change: PlannedChange, reason: str) -> PlannedChange:
    return PlannedChange("conflict", change.kind, change.name, change.owner, reason=reason)


class _Work:
    def __init__(self, write: Write, seal: SecretSeal, hash_password: HashPassword) -> None:
        self._write = write
        self._seal = seal
        self._hash = hash_password
        self._new_domains: set[str] = set()

    def carry_out(self, change: PlannedChange) -> str | None:
        """Make one change completely or not at all; return the reason if it is refused."""
        method = getattr(self, "_" + change.kind.lower().replace(" ", "_").replace("-", "_"))
        try:
            with self._write.attempt("accounts.import", title(change)):
                method(change, change.action == "add")
        except (RefusalError, SealError) as error:
            return str(error)
        return None

    def _values(self, change: PlannedChange, *keys: str) -> dict[str, Any]:
        """Return the fields that the document sets, or those that differ."""
        wanted = cast(DocumentPart, change.wanted)
        names = [one.field for one in change.differences]
        if change.action == "add":
            left_out = {*keys, *PARTS, *DOMAIN_PARTS, *TIMES, "secret"}
            names = [name for name in wanted.model_fields_set if name not in left_out]
        values = {name: getattr(wanted, name) for name in names if name not in keys}
        clear = plain_text(values.get("password"))
        if clear is not None:
            values["password"] = self._hash(clear)
        return values

    def _domain(self, change: PlannedChange, is_new: bool) -> None:
        values = self._values(change, "name")
        if is_new:
            domains.add(self._write, change.name, **values)
            self._new_domains.add(change.name)
            self._set_times(change, schema.domain, schema.domain.c.name == change.name)
        else:
            domains.change(self._write, change.name, None, **values)

    def _catch_all(self, change: PlannedChange, is_new: bool) -> None:  # noqa: ARG002
        target = change.differences[0].after
        domains.change(self._write, change.owner, None, catch_all=target)
        if change.owner in self._new_domains:
            self._set_times(change, schema.domain, schema.domain.c.name == change.owner)

    def _mailbox(self, change: PlannedChange, is_new: bool) -> None:
        values = self._values(change, "address")
        if is_new:
            mailboxes.add(self._write, change.name, **values)
            self._set_times(change, schema.mailbox, schema.mailbox.c.address == change.name)
        else:
            mailboxes.change(self._write, change.name, None, **values)

    def _alias(self, change: PlannedChange, is_new: bool) -> None:
        values = self._values(change, "address")
        if is_new:
            aliases.add(self._write, change.name, **values)
            self._set_times(change, schema.alias, schema.alias.c.address == change.name)
        else:
            aliases.change(self._write, change.name, None, **values)

    def _administrator(self, change: PlannedChange, is_new: bool) -> None:
        values = self._values(change, "login")
        table = schema.administrator
        if is_new:
            administrators.add(self._write, change.name, **values)
            self._set_times(change, table, table.c.login == change.name)
        else:
            administrators.change(self._write, change.name, None, **values)

    def _sender_right(self, change: PlannedChange, is_new: bool) -> None:  # noqa: ARG002
        sender_rights.add(self._write, change.owner, change.name)

    def _allowed_sender(self, change: PlannedChange, is_new: bool) -> None:  # noqa: ARG002
        listed_senders.add(self._write, change.owner, "allow", change.name)

    def _blocked_sender(self, change: PlannedChange, is_new: bool) -> None:  # noqa: ARG002
        listed_senders.add(self._write, change.owner, "block", change.name)

    def _domain_preferences(self, change: PlannedChange, is_new: bool) -> None:  # noqa: ARG002
        values = self._values(change)
        domain_preferences.change(self._write, change.owner, None, **values)

    def _domain_allowed_sender(self, change: PlannedChange, is_new: bool) -> None:  # noqa: ARG002
        listed_senders.OF_DOMAIN.add(self._write, change.owner, "allow", change.name)

    def _domain_blocked_sender(self, change: PlannedChange, is_new: bool) -> None:  # noqa: ARG002
        listed_senders.OF_DOMAIN.add(self._write, change.owner, "block", change.name)

    def _app_password(self, change: PlannedChange, is_new: bool) -> None:
        one = cast(AppPasswordEntry, change.wanted)
        if not is_new:
            app_passwords.remove(self._write, change.owner, one.name)
        clear = plain_text(one.password)
        app_passwords.add(
            self._write,
            change.owner,
            one.name,
            password=one.password if clear is None else self._hash(clear),
            protocols=one.protocols,
            expires=one.expires,
        )
        table = schema.app_password
        self._set_times(change, table, self._part(change, table, table.c.name == one.name))

    def _rule(self, change: PlannedChange, is_new: bool) -> None:
        one = cast(SieveRuleEntry, change.wanted)
        if is_new:
            sieve_rules.add(self._write, change.owner, one.name, rule=one.rule, enabled=one.enabled)
        else:
            values = self._values(change, "name")
            sieve_rules.change(self._write, change.owner, one.name, None, **values)

    def _order_of_rules(self, change: PlannedChange, is_new: bool) -> None:  # noqa: ARG002
        sieve_rules.order(self._write, change.owner, change.differences[0].after)

    def _preferences(self, change: PlannedChange, is_new: bool) -> None:  # noqa: ARG002
        values = self._values(change)
        preferences.change(self._write, change.owner, None, **values)

    def _remote_account(self, change: PlannedChange, is_new: bool) -> None:
        one = cast(RemoteAccountEntry, change.wanted)
        named: dict[str, Any] = {field: getattr(one, field) for field in _NAMED}
        purpose = remote_accounts.purpose(**named)
        if is_new:
            made = remote_accounts.add(
                self._write,
                self._seal,
                change.owner,
                secret=open_secret(one.secret, self._seal, purpose),
                **named,
                **self._values(change, *named),
            )
            table = schema.remote_account
            self._set_times(change, table, table.c.id == made.id)
            return
        table = schema.remote_account
        conditions = [table.c[column] == value for column, value in named.items()]
        statement = select(table.c.id).where(self._part(change, table, *conditions))
        row = self._write.connection.execute(statement).scalar_one()
        values = self._values(change, "secret")
        if values:
            remote_accounts.change(self._write, row, None, **values)
        if any(one.field == "secret" for one in change.differences):
            secret = open_secret(one.secret, self._seal, purpose)
            remote_accounts.set_secret(self._write, self._seal, row, secret)

    def _dkim_key(self, change: PlannedChange, is_new: bool) -> None:
        one = cast(DkimKeyEntry, change.wanted)
        if is_new:
            purpose = dkim_keys.purpose(change.owner, one.selector)
            private = open_secret(one.private, self._seal, purpose).encode()
            dkim_keys.add(self._write, self._seal, change.owner, one.selector, private=private)
        if one.state == "active":
            dkim_keys.activate(self._write, change.owner, one.selector)
        elif one.state == "retired":
            dkim_keys.retire(self._write, change.owner, one.selector)
        if is_new:
            table = schema.dkim_key
            owner = select(schema.domain.c.id).where(schema.domain.c.name == change.owner)
            condition = and_(
                table.c.domain_id == owner.scalar_subquery(), table.c.selector == one.selector
            )
            self._set_times(change, table, condition)

    def _part(self, change: PlannedChange, table: Table, *conditions: Any) -> Any:
        """Return the condition for a part of a mailbox."""
        owner = select(schema.mailbox.c.id).where(schema.mailbox.c.address == change.owner)
        return and_(table.c.mailbox_id == owner.scalar_subquery(), *conditions)

    def _set_times(self, change: PlannedChange, table: Table, condition: Any) -> None:
        """Give a new object the times of the document, so that an export comes back as it was."""
        wanted = cast(DocumentPart, change.wanted)
        values = {
            name: value
            for name in wanted.model_fields_set & TIMES
            if name in table.c and (value := getattr(wanted, name)) is not None
        }
        if not values:
            return
        done = self._write.connection.execute(update(table).where(condition).values(values))
        if done.rowcount != 1:
            raise NoSuchObject(f"There is no {title(change)}.")
