"""Mailboxes and aliases, in every database."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import Connection

from accounts.directory import (
    aliases,
    audit,
    domains,
    mailboxes,
    sender_rights,
)
from accounts.store.errors import AlreadyThere, Invalid
from accounts.store.transaction import Write
from tests.unit.accounts.desk import HASH, NOW, OTHER_HASH, Desk
from tests.unit.accounts.directory_base import DirectoryBase


class MailboxesSuite(DirectoryBase):
    """The tests."""

    def test_a_mailbox(self, desk: Desk) -> None:
        desk.domain()
        made = desk.mailbox(
            "Änna@Example.org",
            display_name="Anna <script>",
            password=HASH,
            quota=1 << 40,
            forwards=["Ben@example.net", "ben@example.NET", "CARL@example.org"],
            store="store-1:24",
        )
        assert made == mailboxes.Mailbox(
            id=made.id,
            address="änna@example.org",
            domain="example.org",
            display_name="Anna <script>",
            password=HASH,
            quota=1 << 40,
            enabled=True,
            may_login=True,
            may_send=True,
            may_receive=True,
            # a local part elsewhere keeps its case, one of ours has one form
            forwards=("Ben@example.net", "ben@example.net", "carl@example.org"),
            keep_copy=True,
            store="store-1:24",
            version=1,
            created=NOW,
            changed=NOW,
            password_changed=NOW,
            last_login=None,
            home=made.home,
        )
        assert re.fullmatch("example.org/_nna-[0-9a-f]{16}", made.home)
        assert desk.read(mailboxes.find) == [made]

    def test_a_mailbox_needs_its_domain(self, desk: Desk) -> None:
        told = self.refused(desk, Invalid, lambda w: mailboxes.add(w, "anna@example.org"))
        assert told == "address: There is no domain example.org."

    def test_no_new_mailbox_has_a_name_that_doveadm_takes_for_others(self, filled: Desk) -> None:
        for work in (
            lambda w: mailboxes.add(w, "?nna@example.org"),
            lambda w: mailboxes.rename(w, "anna@example.org", "ann?@example.org"),
        ):
            told = self.refused(filled, Invalid, work)
            assert told == "address: Dovecot takes a question mark for any character."

    def test_a_mailbox_and_an_alias_have_not_one_name(self, filled: Desk) -> None:
        filled.alias("info@example.org", "anna@example.org")
        filled.mailbox("ben@example.org")
        told = [
            self.refused(filled, AlreadyThere, work)
            for work in (
                lambda w: mailboxes.add(w, "Anna@example.org"),
                lambda w: mailboxes.add(w, "info@example.org"),
                lambda w: aliases.add(w, "INFO@example.org", targets=["x@example.net"]),
                lambda w: aliases.add(w, "anna@example.org", targets=["x@example.net"]),
                lambda w: mailboxes.rename(w, "anna@example.org", "info@example.org"),
                lambda w: mailboxes.rename(w, "anna@example.org", "ben@example.org"),
                lambda w: aliases.rename(w, "info@example.org", "anna@example.org"),
            )
        ]
        assert told == [
            "There is already a mailbox anna@example.org.",
            "There is already an alias info@example.org.",
            "There is already an alias info@example.org.",
            "There is already a mailbox anna@example.org.",
            "There is already an alias info@example.org.",
            "There is already a mailbox ben@example.org.",
            "There is already a mailbox anna@example.org.",
        ]

    def test_a_password_is_dated_and_not_in_the_audit_log(self, filled: Desk) -> None:
        filled.clock.now += 5
        changed = filled.write(
            lambda w: mailboxes.change(w, "anna@example.org", 1, password=HASH, quota=7)
        )
        assert (changed.password, changed.password_changed) == (HASH, NOW + 5)
        (entry, *_) = filled.read(audit.find)
        assert entry.details == {"password": "changed", "quota": [None, 7]}
        filled.mailbox("ben@example.org", password=HASH)
        assert not any(HASH in str(entry) for entry in filled.read(audit.find))

    def test_a_better_hash_takes_the_place_of_one_that_is_still_there(self, filled: Desk) -> None:
        def upgrade(before: str) -> bool:
            return filled.run(
                filled.database.record(
                    lambda c: mailboxes.upgrade_password(c, "anna@example.org", before, HASH)
                )
            )

        filled.write(lambda w: mailboxes.change(w, "anna@example.org", 1, password=OTHER_HASH))
        assert not upgrade("{SSHA}somethingelse")
        assert upgrade(OTHER_HASH)
        box = filled.read(lambda c: mailboxes.get(c, "anna@example.org"))
        assert (box.password, box.version) == (HASH, 2)

    def test_lists_have_pages(self, desk: Desk) -> None:
        desk.domain()
        desk.domain("example.net")

        def add(write: Write) -> None:
            for number in range(25):
                mailboxes.add(write, f"u{number}@example.org", display_name=f"100% {number}")
            mailboxes.add(write, "u_1@example.net", display_name="Ünï")

        desk.write(add)
        seen: list[str] = []

        def next_page(connection: Connection) -> list[str]:
            after = seen[-1] if seen else None
            found = mailboxes.find(connection, domain="example.org", after=after, limit=10)
            return [box.address for box in found]

        while page := desk.read(next_page):
            seen += page
        assert seen == sorted(f"u{number}@example.org" for number in range(25))

        def found(text: str) -> list[str]:
            return [box.address for box in desk.read(lambda c: mailboxes.find(c, text=text))]

        assert found("U_1") == ["u_1@example.net"]
        assert found("100% 24") == ["u24@example.org"]
        assert found("%%") == []
        assert found("'; DROP TABLE mailbox; --") == []
        for limit in (0, -1, 1001, 1 << 70, "1", True):
            with pytest.raises(Invalid):
                desk.read(lambda c: mailboxes.find(c, limit=limit))  # type: ignore[arg-type]  # noqa: B023

    def test_a_renamed_mailbox_keeps_what_belongs_to_it(self, filled: Desk) -> None:
        def prepare(write: Write) -> None:
            domains.add(write, "example.net", catch_all="anna@example.org")
            mailboxes.add(write, "ben@example.org", forwards=["anna@example.org"])
            aliases.add(write, "info@example.org", targets=["anna@example.org", "new@example.net"])
            sender_rights.add(write, "ben@example.org", "anna@example.org")
            sender_rights.add(write, "anna@example.org", "@example.net")

        filled.write(prepare)
        before = filled.read(lambda c: mailboxes.get(c, "anna@example.org"))
        after = filled.write(
            lambda w: mailboxes.rename(w, "anna@example.org", "New@example.net", 1)
        )
        assert (after.id, after.address, after.domain) == (
            before.id,
            "new@example.net",
            "example.net",
        )
        assert after.version == 2
        assert filled.read(lambda c: domains.get(c, "example.net")).catch_all == "new@example.net"
        assert filled.read(lambda c: mailboxes.get(c, "ben@example.org")).forwards == (
            "new@example.net",
        )
        assert filled.read(lambda c: aliases.get(c, "info@example.org")).targets == (
            "new@example.net",
        )
        assert [(right.mailbox, right.sender) for right in filled.read(sender_rights.find)] == [
            ("ben@example.org", "new@example.net"),
            ("new@example.net", "@example.net"),
        ]
        # the name is free, and goes with its new domain
        filled.mailbox("anna@example.org")
        filled.write(lambda w: domains.remove(w, "example.net"))
        assert [box.address for box in filled.read(mailboxes.find)] == [
            "anna@example.org",
            "ben@example.org",
        ]

    def test_a_renamed_mailbox_can_leave_an_alias(self, filled: Desk) -> None:
        filled.write(
            lambda w: mailboxes.rename(w, "anna@example.org", "anne@example.org", keep_alias=True)
        )
        alias = filled.read(lambda c: aliases.get(c, "anna@example.org"))
        assert alias.targets == ("anne@example.org",)

    def test_an_alias(self, filled: Desk) -> None:
        made = filled.alias(
            "Info@example.org",
            "anna@example.org",
            "x@example.net",
            description="<i>",
            expires=NOW + 60,
            members_may_send=True,
        )
        assert made == aliases.Alias(
            id=made.id,
            address="info@example.org",
            domain="example.org",
            is_wildcard=False,
            targets=("anna@example.org", "x@example.net"),
            enabled=True,
            expires=NOW + 60,
            members_may_send=True,
            description="<i>",
            version=1,
            created=NOW,
            changed=NOW,
            personal=None,
            is_locked=False,
        )
        assert filled.read(lambda c: aliases.find(c, target="Anna@example.org")) == [made]
        assert filled.read(lambda c: aliases.find(c, target="ben@example.org")) == []
        changed = filled.write(
            lambda w: aliases.change(w, "info@example.org", 1, targets=["y@example.net"])
        )
        assert (changed.targets, changed.version) == (("y@example.net",), 2)
        self.refused(
            filled, Invalid, lambda w: aliases.change(w, "info@example.org", 2, targets=[])
        )

    def test_wildcards(self, filled: Desk) -> None:
        assert filled.alias("*@example.org", "anna@example.org").is_wildcard
        assert filled.alias("sales-*@example.org", "anna@example.org").is_wildcard
        renamed = filled.write(
            lambda w: aliases.rename(w, "sales-*@example.org", "sales@example.org")
        )
        assert not renamed.is_wildcard
        self.refused(filled, Invalid, lambda w: mailboxes.add(w, "*@example.org"))
