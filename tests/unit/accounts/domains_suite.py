"""Domains and versions, in every database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from accounts.directory import (
    administrators,
    aliases,
    audit,
    domains,
    mailboxes,
    preferences,
    sieve_rules,
)
from accounts.store.errors import AlreadyThere, Conflict, Invalid, NoSuchObject
from accounts.store.transaction import Write
from tests.unit.accounts.desk import NOW, Desk
from tests.unit.accounts.directory_base import DirectoryBase


class DomainsSuite(DirectoryBase):
    """The tests."""

    def test_a_domain(self, desk: Desk) -> None:
        made = desk.domain("BÜCHER.example.", description=" <b>Robert'); DROP TABLE domain;-- ")
        assert made == domains.Domain(
            id=made.id,
            name="xn--bcher-kva.example",
            description="<b>Robert'); DROP TABLE domain;--",
            alias_of=None,
            catch_all=None,
            enabled=True,
            max_mailboxes=None,
            max_aliases=None,
            max_quota=None,
            default_quota=None,
            transport=None,
            is_relay=False,
            version=1,
            created=NOW,
            changed=NOW,
            disposable_aliases=20,
            named_aliases=0,
            named_alias_pattern=None,
        )
        assert desk.read(lambda c: domains.get(c, "bücher.example")) == made

    def test_a_domain_is_there_once(self, desk: Desk) -> None:
        desk.domain()
        told = self.refused(desk, AlreadyThere, lambda w: domains.add(w, "Example.ORG"))
        assert told == "There is already a domain example.org."

    def test_a_domain_changes(self, desk: Desk) -> None:
        desk.domain()
        desk.clock.now += 10
        values: domains.DomainFields = {
            "description": "mail",
            "catch_all": "All@example.net",
            "enabled": False,
            "max_mailboxes": 5,
            "max_aliases": 6,
            "max_quota": 2000,
            "default_quota": 1000,
            "transport": "smtp:[mx.example.net]:25",
        }
        changed = desk.write(lambda w: domains.change(w, "example.org", 1, **values))
        assert {field: getattr(changed, field) for field in values} == values
        assert (changed.version, changed.created, changed.changed) == (2, NOW, NOW + 10)
        (entry, *_) = desk.read(audit.find)
        assert entry.details["max_quota"] == [None, 2000]
        # all of it can be taken back
        nothing: domains.DomainFields = {
            "catch_all": None,
            "max_mailboxes": None,
            "max_quota": None,
            "default_quota": None,
            "transport": None,
        }
        changed = desk.write(lambda w: domains.change(w, "example.org", 2, **nothing))
        assert {field: getattr(changed, field) for field in nothing} == nothing

    def test_a_change_that_changes_nothing_is_none(self, desk: Desk) -> None:
        desk.domain(description="mail")
        generation = desk.database.generation
        same = desk.write(lambda w: domains.change(w, "example.org", 1, description="mail "))
        assert same.version == 1
        assert desk.database.generation == generation
        assert len(desk.read(audit.find)) == 1

    def test_the_second_of_two_changes_of_one_version_conflicts(self, filled: Desk) -> None:
        filled.alias("info@example.org", "anna@example.org")
        filled.write(lambda w: administrators.add(w, "root"))
        rule = {"match": "always", "actions": [{"kind": "keep"}]}
        filled.write(lambda w: sieve_rules.add(w, "anna@example.org", "a", rule=rule))
        changes: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = [
            (domains.change, ("example.org",), {"description": "%"}),
            (mailboxes.change, ("anna@example.org",), {"display_name": "%"}),
            (aliases.change, ("info@example.org",), {"description": "%"}),
            (administrators.change, ("root",), {"password": "{X}%"}),
            (sieve_rules.change, ("anna@example.org", "a"), {"rule": "%"}),
            (preferences.change, ("anna@example.org",), {"spam_junk_score": "%"}),
        ]
        for change, key, values in changes:
            (field,) = values

            def set_to(text: str, version: int) -> Callable[[Write], Any]:
                value: Any = text
                if field == "spam_junk_score":  # used at once  # noqa: B023
                    value = len(text)
                elif field == "rule":  # noqa: B023
                    action = {"kind": "fileinto", "mailbox": text}
                    value = {"match": "always", "actions": [action]}
                elif field == "password":  # noqa: B023
                    value = "{X}" + text.replace(" ", "")
                return lambda w: change(w, *key, version, **{field: value})  # noqa: B023

            version = 0 if change is preferences.change else 1
            assert filled.write(set_to("first", version)).version == version + 1
            told = self.refused(filled, Conflict, set_to("the second", version))
            assert told == (
                f"It was changed meanwhile: it has version {version + 1}, and the change is made "
                f"from {version}."
            )
            assert filled.write(set_to("the third one", version + 1)).version == version + 2

    def test_removal_of_an_earlier_version_conflicts(self, filled: Desk) -> None:
        filled.write(lambda w: mailboxes.change(w, "anna@example.org", 1, enabled=False))
        self.refused(filled, Conflict, lambda w: mailboxes.remove(w, "anna@example.org", 1))
        filled.write(lambda w: mailboxes.remove(w, "anna@example.org", 2))
        self.refused(filled, NoSuchObject, lambda w: mailboxes.remove(w, "anna@example.org", 2))

    def test_alias_domains(self, filled: Desk) -> None:
        filled.domain("example.net")
        filled.domain("a.example", alias_of="Example.org")

        def change(name: str, **values: Any) -> Callable[[Write], Any]:
            return lambda w: domains.change(w, name, None, **values)

        told = [
            self.refused(filled, Invalid, work)
            for work in (
                lambda w: domains.add(w, "b.example", alias_of="a.example"),
                lambda w: domains.add(w, "b.example", alias_of="none.example"),
                lambda w: domains.add(w, "b.example", alias_of="b.example"),
                change("example.net", alias_of="example.net"),
                change("example.org", alias_of="example.net"),
                change("a.example", is_relay=True),
                lambda w: mailboxes.add(w, "ben@a.example"),
                lambda w: domains.remove(w, "example.org"),
            )
        ]
        assert told == [
            "alias_of: a.example is an alias of example.org itself.",
            "alias_of: There is no domain none.example.",
            "alias_of: A domain cannot be an alias of itself.",
            "alias_of: A domain cannot be an alias of itself.",
            "alias_of: a.example is an alias of this domain.",
            "is_relay: An alias domain has its mailboxes where its target does.",
            "address: a.example is an alias of example.org: the mailbox has its address there.",
            "name: a.example would be an alias of nothing.",
        ]
        filled.write(change("a.example", alias_of=None))
        filled.mailbox("ben@a.example")
        assert (
            self.refused(filled, Invalid, change("a.example", alias_of="example.org"))
            == "alias_of: The domain has mailboxes: remove them first."
        )

    def test_relay_domains_have_no_mailboxes(self, filled: Desk) -> None:
        self.refused(
            filled, Invalid, lambda w: domains.change(w, "example.org", None, is_relay=True)
        )
        filled.domain("relay.example", is_relay=True, transport="smtp:[192.0.2.1]")
        self.refused(filled, Invalid, lambda w: mailboxes.add(w, "anna@relay.example"))
        self.refused(
            filled,
            Invalid,
            lambda w: mailboxes.rename(w, "anna@example.org", "anna@relay.example"),
        )

    def test_limits_of_a_domain(self, desk: Desk) -> None:
        desk.domain(max_mailboxes=1, max_aliases=1, max_quota=1000, default_quota=500)
        desk.domain("example.net")
        assert desk.mailbox().quota == 500
        desk.alias("info@example.org", "anna@example.org")
        desk.mailbox("ben@example.net")
        told = [
            self.refused(desk, Invalid, work)
            for work in (
                lambda w: mailboxes.add(w, "ben@example.org"),
                lambda w: mailboxes.rename(w, "ben@example.net", "ben@example.org"),
                lambda w: aliases.add(w, "b@example.org", targets=["x@example.net"]),
                lambda w: mailboxes.change(w, "anna@example.org", None, quota=1001),
                lambda w: mailboxes.change(w, "anna@example.org", None, quota=None),
                lambda w: domains.change(w, "example.org", None, default_quota=1001),
                lambda w: domains.change(w, "example.org", None, max_quota=499),
            )
        ]
        assert told == [
            "address: example.org has as many mailboxes as it may have: 1.",
            "quota: example.org allows at most 1000 octets.",
            "address: example.org has as many aliases as it may have: 1.",
            "quota: example.org allows at most 1000 octets.",
            "quota: example.org allows at most 1000 octets.",
            "default_quota: It is above max_quota, which is 1000.",
            "default_quota: It is above max_quota, which is 499.",
        ]
        desk.write(lambda w: domains.change(w, "example.org", None, max_mailboxes=0, max_quota=600))
        # what is there stays, and can be changed in other ways
        desk.write(lambda w: mailboxes.change(w, "anna@example.org", None, display_name="Anna"))
