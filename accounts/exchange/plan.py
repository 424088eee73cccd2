"""Plan of an import: what a document would change in a datastore, in the order of doing it.

A plan never removes an object. It compares the fields that the document sets, so that what a source
does not know stays as it is; the same document a second time changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from accounts.exchange.comparison import Comparison, Passwords, PlanCheck, is_empty
from accounts.exchange.document import (
    AdministratorEntry,
    AliasEntry,
    DkimKeyEntry,
    Document,
    DocumentPart,
    DomainEntry,
    DomainPreferencesEntry,
    MailboxEntry,
    PreferencesEntry,
    RemoteAccountEntry,
)
from accounts.exchange.planned import Difference, ObjectKind, PlanAction, PlannedChange

_T = TypeVar("_T", bound=DocumentPart)


def make_plan(
    wanted: Document,
    present: Document,
    *,
    passwords: Passwords = "source",
    check: PlanCheck = lambda _stored, _clear: False,
) -> tuple[PlannedChange, ...]:
    """Return a change for each object of `wanted`, compared with the export `present`.

    `check` compares a password in clear text with the stored one; without it each such password is
    a change. Conflicts are those that the two documents show; the datastore may find more.
    """
    return tuple(_Plan(wanted, present, passwords, check).changes())


class _Plan:
    def __init__(
        self, wanted: Document, present: Document, passwords: Passwords, check: PlanCheck
    ) -> None:
        self._wanted, self._present = wanted, present
        self._domains = {one.name: one for one in present.domains}
        self._new_domains = {one.name: one for one in wanted.domains}
        self._ours = frozenset(self._domains) | frozenset(self._new_domains)
        self._comparison = Comparison(self._ours, passwords, check)
        self._mailboxes = {one.address: one for one in present.mailboxes}
        self._aliases = {one.address: one for one in present.aliases}
        self._with_mailboxes = {
            one.address.rpartition("@")[2] for one in (*present.mailboxes, *wanted.mailboxes)
        }
        self._failed: set[str] = set()

    def changes(self) -> Iterator[PlannedChange]:
        """Yield the changes, each after those that it refers to."""
        domains = sorted(self._wanted.domains, key=lambda one: (one.alias_of is not None, one.name))
        for domain in domains:
            yield self._domain(domain)
        for mailbox in self._wanted.mailboxes:
            yield self._mailbox(mailbox)
        # a wildcard would take the addresses that other aliases are still to get
        for alias in sorted(self._wanted.aliases, key=lambda one: "*" in one.address):
            yield self._alias(alias)
        for domain in domains:
            if domain.name not in self._failed:
                yield from self._catch_all(domain)
        for mailbox in self._wanted.mailboxes:
            if mailbox.address not in self._failed:
                yield from self._parts(mailbox)
        for domain in domains:
            if domain.name not in self._failed:
                yield from self._domain_parts(domain)
                yield from self._keys(domain)
        present = {one.login: one for one in self._present.administrators}
        for administrator in self._wanted.administrators:
            yield self._administrator(administrator, present.get(administrator.login))

    def _domain(self, one: DomainEntry) -> PlannedChange:
        reason = self._domain_conflict(one)
        if reason:
            self._failed.add(one.name)
            return PlannedChange("conflict", "domain", one.name, reason=reason)
        return self._comparison.change(
            "domain", one.name, one, self._domains.get(one.name), DOMAIN_PARTS
        )

    def _catch_all(self, one: DomainEntry) -> Iterator[PlannedChange]:
        """Yield the change of a catch-all, which needs the mailbox that it leads to."""
        if "catch_all" not in one.model_fields_set:
            return
        there = self._domains.get(one.name)
        before = there.catch_all if there is not None else None
        if self._comparison.is_same("catch_all", one.catch_all, before):
            return
        action: PlanAction = "add" if before is None else "change"
        difference = Difference("target", before, one.catch_all)
        yield PlannedChange(action, "catch-all", "", one.name, (difference,), wanted=one)

    def _domain_conflict(self, one: DomainEntry) -> str:
        target = one.alias_of
        if target is None:
            return ""
        if target == one.name:
            return "it would be an alias of itself"
        if target not in self._ours:
            return f"it would be an alias of {target}, which does not exist"
        if self._alias_of(target) is not None:
            return f"{target} is an alias itself"
        if one.name in self._with_mailboxes:
            return "it would be an alias domain, but it has mailboxes"
        return ""

    def _alias_of(self, name: str) -> str | None:
        """Return the domain that `name` is an alias of after the import."""
        wanted, present = self._new_domains.get(name), self._domains.get(name)
        if wanted is not None and (present is None or "alias_of" in wanted.model_fields_set):
            return wanted.alias_of
        return present.alias_of if present is not None else None

    def _mailbox(self, one: MailboxEntry) -> PlannedChange:
        reason = self._place_conflict(one.address)
        domain = one.address.rpartition("@")[2]
        if not reason and one.address in self._aliases:
            reason = "there is an alias with this name"
        elif not reason and (target := self._alias_of(domain)) is not None:
            reason = f"{domain} is an alias of {target}"
        if reason:
            self._failed.add(one.address)
            return PlannedChange("conflict", "mailbox", one.address, reason=reason)
        return self._comparison.change(
            "mailbox", one.address, one, self._mailboxes.get(one.address), PARTS
        )

    def _alias(self, one: AliasEntry) -> PlannedChange:
        reason = self._place_conflict(one.address)
        if not reason and one.address in self._mailboxes:
            reason = "there is a mailbox with this name"
        if reason:
            return PlannedChange("conflict", "alias", one.address, reason=reason)
        return self._comparison.change(
            "alias", one.address, one, self._aliases.get(one.address), frozenset()
        )

    def _place_conflict(self, address: str) -> str:
        domain = address.rpartition("@")[2]
        if domain not in self._domains and domain in self._failed:
            return f"domain {domain} is not added"
        return "" if domain in self._ours else f"there is no domain {domain}"

    def _administrator(
        self, one: AdministratorEntry, present: AdministratorEntry | None
    ) -> PlannedChange:
        missing = [name for name in one.domains if name not in self._ours]
        if missing:
            reason = f"there is no domain {missing[0]}"
            return PlannedChange("conflict", "administrator", one.login, reason=reason)
        return self._comparison.change("administrator", one.login, one, present, frozenset())

    def _parts(self, mailbox: MailboxEntry) -> Iterator[PlannedChange]:
        owner = mailbox.address
        present = self._mailboxes.get(owner) or MailboxEntry.model_validate({"address": owner})
        yield from _listed("sender right", owner, mailbox.rights, present.rights)
        yield from self._named(
            "app password",
            owner,
            mailbox.app_passwords,
            present.app_passwords,
            lambda one: one.name,
        )
        yield from self._rules(mailbox, present)
        yield from self._wishes(
            "preferences", owner, mailbox.preferences, present.preferences, PreferencesEntry()
        )
        yield from _listed(
            "allowed sender", owner, mailbox.allowed_senders, present.allowed_senders
        )
        yield from _listed(
            "blocked sender", owner, mailbox.blocked_senders, present.blocked_senders
        )
        for account in mailbox.remote_accounts:
            there = next((one for one in present.remote_accounts if one.key == account.key), None)
            yield self._remote_account(owner, account, there)

    def _wishes(
        self,
        kind: ObjectKind,
        owner: str,
        wanted: DocumentPart | None,
        present: DocumentPart | None,
        defaults: DocumentPart,
    ) -> Iterator[PlannedChange]:
        if wanted is None:
            return
        there = present or defaults
        change = self._comparison.change(kind, "", wanted, there, frozenset(), owner)
        is_new = present is None and change.action == "change"
        yield replace(change, action="add") if is_new else change

    def _domain_parts(self, domain: DomainEntry) -> Iterator[PlannedChange]:
        owner = domain.name
        present = self._domains.get(owner) or DomainEntry.model_validate({"name": owner})
        yield from self._wishes(
            "domain preferences",
            owner,
            domain.preferences,
            present.preferences,
            DomainPreferencesEntry(),
        )
        yield from _listed(
            "domain allowed sender", owner, domain.allowed_senders, present.allowed_senders
        )
        yield from _listed(
            "domain blocked sender", owner, domain.blocked_senders, present.blocked_senders
        )

    def _rules(self, mailbox: MailboxEntry, present: MailboxEntry) -> Iterator[PlannedChange]:
        yield from self._named(
            "rule",
            mailbox.address,
            mailbox.sieve_rules,
            present.sieve_rules,
            lambda one: one.name,
        )
        wanted = [one.name for one in mailbox.sieve_rules]
        there = [one.name for one in present.sieve_rules]
        appended = [*there, *(name for name in wanted if name not in there)]
        ordered = (*wanted, *(name for name in there if name not in wanted))
        if wanted and ordered != tuple(appended):
            difference = Difference("order", tuple(appended), ordered)
            yield PlannedChange("change", "order of rules", "", mailbox.address, (difference,))

    def _named(
        self,
        kind: ObjectKind,
        owner: str,
        wanted: Sequence[_T],
        present: Sequence[_T],
        name: Callable[[_T], str],
    ) -> Iterator[PlannedChange]:
        there = {name(one): one for one in present}
        for one in wanted:
            yield self._comparison.change(
                kind, name(one), one, there.get(name(one)), frozenset(), owner
            )

    def _remote_account(
        self, owner: str, one: RemoteAccountEntry, present: RemoteAccountEntry | None
    ) -> PlannedChange:
        if present is None and is_empty(one.secret):
            reason = "the document lacks its password"
            return PlannedChange("conflict", "remote account", one.key, owner, reason=reason)
        return self._comparison.change("remote account", one.key, one, present, frozenset(), owner)

    def _keys(self, domain: DomainEntry) -> Iterator[PlannedChange]:
        present = self._domains.get(domain.name) or DomainEntry.model_validate(
            {"name": domain.name}
        )
        there = {key.selector: key for key in present.dkim_keys}
        signing = {
            key.algorithm: key.selector for key in present.dkim_keys if key.state == "active"
        }
        for key in domain.dkim_keys:
            other = signing.get(key.algorithm)
            if key.state == "active" and other not in (None, key.selector):
                # an import never switches to another key
                key = key.model_copy(update={"state": "new"})
            yield _key(domain.name, key, there.get(key.selector))


PARTS = {
    "rights",
    "app_passwords",
    "sieve_rules",
    "preferences",
    "allowed_senders",
    "blocked_senders",
    "remote_accounts",
}
"""Fields of a mailbox that are changes of their own."""

DOMAIN_PARTS = {"dkim_keys", "catch_all", "preferences", "allowed_senders", "blocked_senders"}
"""The same for a domain."""


def _listed(
    kind: ObjectKind, owner: str, wanted: Sequence[str], present: Sequence[str]
) -> Iterator[PlannedChange]:
    for one in wanted:
        action: PlanAction = "keep" if one in present else "add"
        yield PlannedChange(action, kind, one, owner, wanted=one)


def _key(domain: str, key: DkimKeyEntry, present: DkimKeyEntry | None) -> PlannedChange:
    if present is None:
        if is_empty(key.private):
            reason = "the document lacks its private part"
            return PlannedChange("conflict", "DKIM key", key.selector, domain, reason=reason)
        fields = (
            Difference("algorithm", None, key.algorithm),
            Difference("state", None, key.state),
        )
        return PlannedChange("add", "DKIM key", key.selector, domain, fields, wanted=key)
    if not (is_empty(key.private) or key.private == present.private):
        reason = "there is another key with this selector"
        return PlannedChange("conflict", "DKIM key", key.selector, domain, reason=reason)
    order = ("new", "active", "retired")
    if order.index(key.state) <= order.index(present.state):
        return PlannedChange("keep", "DKIM key", key.selector, domain, wanted=key)
    difference = Difference("state", present.state, key.state)
    return PlannedChange("change", "DKIM key", key.selector, domain, (difference,), wanted=key)
