"""Imports and exports, in every database."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from accounts.directory import administrators, app_passwords, dkim_keys, mailboxes, remote_accounts
from accounts.exchange.apply import ImportOutcome, ImportRefused, import_document
from accounts.exchange.document import Document, DocumentPart, parse, render
from accounts.exchange.export import Secrets, export
from accounts.exchange.plan_text import plan_lines
from accounts.store import schema
from accounts.store.seal import SealError, SecretSeal
from accounts.store.settings import DatabaseSettings
from tests.unit.accounts.desk import ME, NOW, Desk
from tests.unit.accounts.directory_base import DirectoryBase
from tests.unit.accounts.exchange.samples import EVERYTHING, HASH, HASH6, PEM

SEAL = SecretSeal([bytes(range(32))])


def document(**parts: Any) -> Document:
    return Document.model_validate({"format": "gatepost accounts", "version": 1, **parts})


def boxes(*mailboxes: dict[str, Any], **more: Any) -> Document:
    more.setdefault("domains", ({"name": "example.org"},))
    return document(mailboxes=mailboxes, **more)


def sample() -> Document:
    """The sample with a second clear key, which the datastore can read."""
    domain = EVERYTHING.domains[0]
    keys = tuple(
        key.model_copy(update={"algorithm": "ed25519", "private": domain.dkim_keys[0].private})
        for key in domain.dkim_keys
    )
    first = domain.model_copy(update={"dkim_keys": keys})
    return EVERYTHING.model_copy(update={"domains": (first, *EVERYTHING.domains[1:])})


def imported(desk: Desk, wanted: Document, **options: Any) -> ImportOutcome:
    return desk.write(
        lambda write: import_document(write, wanted, SEAL, lambda clear: HASH, **options)
    )


def exported(desk: Desk, secrets: Secrets = "clear", **options: Any) -> Document:
    return desk.read(lambda connection: export(connection, seal=SEAL, secrets=secrets, **options))


DERIVED = frozenset({"public_record", "written", "undecided"})
"""Fields that the datastore makes itself, or that it does not keep."""


def lost(wanted: Any, found: Any, where: str = "") -> list[str]:
    """Return where `found` differs from what `wanted` says, field by field."""
    if isinstance(wanted, DocumentPart) and found is None:
        return [where]
    if isinstance(wanted, DocumentPart):
        fields = [name for name in wanted.model_fields_set if name not in DERIVED]
        pairs = [(getattr(wanted, name), getattr(found, name), name) for name in fields]
    elif isinstance(wanted, tuple) and wanted and isinstance(wanted[0], DocumentPart):
        keyed = {str(next(iter(one.model_dump().values()))): one for one in found}
        named = [(str(next(iter(one.model_dump().values()))), one) for one in wanted]
        pairs = [(one, keyed.get(name), name) for name, one in named]
    elif isinstance(wanted, tuple):
        return [] if sorted(wanted) == sorted(found) else [where]
    else:
        # a time that is not set is the one of the import
        return [] if wanted in (found, None) else [where]
    return [place for one, other, name in pairs for place in lost(one, other, f"{where}.{name}")]


class ImportSuite(DirectoryBase):
    def make_another(self) -> DatabaseSettings:
        """Make one more database."""
        raise NotImplementedError

    def test_nothing_is_lost(self, desk: Desk) -> None:
        imported(desk, sample())
        found = exported(desk)
        assert lost(sample(), found) == []
        assert lost(found, parse(render(found))) == []
        # and `lost` finds what is lost
        less = found.model_copy(update={"mailboxes": (found.mailboxes[1], found.mailboxes[1])})
        assert ".mailboxes.anna@example.org" in lost(sample(), less)

    def test_an_export_comes_back_into_another_datastore(self, desk: Desk) -> None:
        imported(desk, sample())
        first = exported(desk)
        other = Desk(self.make_another())
        try:
            imported(other, parse(render(first)))
            assert exported(other) == first
        finally:
            other.close()

    def test_the_second_time_nothing_changes(self, desk: Desk) -> None:
        imported(desk, sample())
        before, entries = desk.database.generation, desk.count(schema.audit)
        for wanted in (sample(), exported(desk), parse(render(exported(desk)))):
            outcome = imported(desk, wanted)
            assert (outcome.done, outcome.refused) == ((), ())
            assert outcome.kept > 10
        assert (desk.database.generation, desk.count(schema.audit)) == (before, entries)

    def test_a_dry_run_changes_nothing_and_says_everything(self, desk: Desk) -> None:
        def work(write: Any) -> ImportOutcome:
            return import_document(write, sample(), SEAL, lambda clear: HASH)

        outcome = desk.run(desk.database.rehearse(ME, work))
        assert len(outcome.done) > 10
        assert "+ mailbox anna@example.org" in plan_lines(outcome.done)
        assert desk.count(schema.mailbox) == desk.count(schema.audit) == 0

    def test_one_conflict_and_nothing_is_written(self, desk: Desk) -> None:
        imported(desk, sample())
        wanted = boxes(
            {"address": "new@example.org"},
            {"address": "info@example.org"},
            aliases=({"address": "bob@example.org", "targets": ("anna@example.org",)},),
        )
        before = exported(desk)
        with pytest.raises(ImportRefused, match="there is an alias with this name") as caught:
            imported(desk, wanted)
        assert [one.name for one in caught.value.outcome.refused] == [
            "info@example.org",
            "bob@example.org",
        ]
        assert exported(desk) == before
        outcome = imported(desk, wanted, partly=True)
        assert [one.name for one in outcome.done] == ["new@example.org"]
        assert len(outcome.refused) == 2

    @pytest.mark.parametrize(
        ("wanted", "says"),
        [
            (
                boxes(
                    aliases=(
                        {"address": "a@example.org", "targets": ("b@example.org",)},
                        {"address": "b@example.org", "targets": ("a@example.org",)},
                    )
                ),
                "alias b@example.org: targets",
            ),
            (
                boxes(
                    {"address": "a@example.org"},
                    {"address": "b@example.org"},
                    domains=({"name": "example.org", "max_mailboxes": 1},),
                ),
                "max_mailboxes|as many mailboxes as it may have",
            ),
            (
                boxes(
                    {"address": "a@example.org", "quota": 7},
                    domains=({"name": "example.org", "max_quota": 5},),
                ),
                "at most 5 octets",
            ),
            (
                boxes(
                    {"address": "a@example.org"},
                    domains=(
                        {"name": "example.org", "is_relay": True, "transport": "smtp:[x.example]"},
                    ),
                ),
                "on another host",
            ),
        ],
        ids=["circle", "max_mailboxes", "max_quota", "relay"],
    )
    def test_what_the_datastore_refuses_is_a_conflict(
        self, desk: Desk, wanted: Document, says: str
    ) -> None:
        with pytest.raises(ImportRefused, match=says):
            imported(desk, wanted)
        assert desk.count(schema.domain) == 0

    def test_aliases_change_places(self, desk: Desk) -> None:
        """Each change alone would be a circle as long as the other is not done."""
        imported(
            desk,
            boxes(
                {"address": "end@example.org"},
                aliases=(
                    {"address": "a@example.org", "targets": ("b@example.org",)},
                    {"address": "b@example.org", "targets": ("end@example.org",)},
                ),
            ),
        )
        turned = boxes(
            aliases=(
                {"address": "b@example.org", "targets": ("a@example.org",)},
                {"address": "a@example.org", "targets": ("end@example.org",)},
            )
        )
        assert not imported(desk, turned).refused
        found = {one.address: one.targets for one in exported(desk).aliases}
        assert found["b@example.org"] == ("a@example.org",)

    def test_what_the_document_does_not_know_stays(self, desk: Desk) -> None:
        imported(desk, sample())
        imported(desk, boxes({"address": "anna@example.org", "quota": 5}))
        anna = desk.read(lambda c: mailboxes.get(c, "anna@example.org"))
        assert (anna.quota, anna.display_name) == (5, "Änna 'A' <Example>")
        assert exported(desk).mailboxes[0].app_passwords == sample().mailboxes[0].app_passwords

    def test_passwords_in_clear_text_are_hashed(self, desk: Desk) -> None:
        part = {"name": "phone", "password": "{PLAIN}other"}
        wanted = boxes(
            {"address": "a@example.org", "password": "{PLAIN}geheim", "app_passwords": (part,)}
        )
        hashed: list[str] = []

        def make(clear: str) -> str:
            hashed.append(clear)
            return HASH

        desk.write(lambda write: import_document(write, wanted, SEAL, make))
        assert hashed == ["geheim", "other"]
        found = desk.read(lambda c: mailboxes.get(c, "a@example.org"))
        assert found.password == HASH
        (phone,) = desk.read(lambda c: app_passwords.find(c, "a@example.org"))
        assert phone.password == HASH
        # HASH is that of another password: without the check it would be made anew each time
        assert imported(desk, wanted).done
        again = boxes({"address": "a@example.org", "password": "{PLAIN}gate-Pöst 1"})
        assert not imported(desk, again).done

    def test_a_password_that_the_user_changed_can_stay(self, desk: Desk) -> None:
        imported(desk, boxes({"address": "a@example.org", "password": HASH}))
        wanted = boxes({"address": "a@example.org", "password": HASH6})
        assert not imported(desk, wanted, passwords="datastore").done
        assert imported(desk, wanted).done

    @pytest.mark.parametrize("secrets", ["sealed", "none"])
    def test_secrets_of_an_export(self, desk: Desk, secrets: Secrets) -> None:
        imported(desk, sample())
        found = exported(desk, secrets)
        text = render(found).decode()
        assert "BEGIN PRIVATE" not in text
        assert "remote-secret" not in text
        # hashes are always there, and with the same key nothing is missing
        assert HASH in text
        assert not imported(desk, found).done

    def test_sealed_secrets_need_the_same_key(self, desk: Desk) -> None:
        imported(desk, sample())
        sealed = exported(desk, "sealed")
        other = Desk(self.make_another())
        try:
            imported(other, sealed)
            key = other.read(lambda c: dkim_keys.get(c, "example.org", "s2026"))
            assert other.read(lambda c: dkim_keys.private(c, SEAL, key)).decode() == PEM
        finally:
            other.close()
        wrong = SecretSeal([bytes(32)])
        third = Desk(self.make_another())
        try:
            with pytest.raises(ImportRefused, match="the key file does not have"):
                third.write(lambda write: import_document(write, sealed, wrong, lambda _: HASH))
            assert third.count(schema.domain) == 0
        finally:
            third.close()
        with pytest.raises(SealError):
            desk.read(lambda c: export(c, seal=wrong))

    def test_times_of_the_document_are_kept_for_new_objects_only(self, desk: Desk) -> None:
        imported(desk, sample())
        anna = desk.read(lambda c: mailboxes.get(c, "anna@example.org"))
        assert (anna.created, anna.last_login) == (1_600_000_000, 1_650_000_000)
        later = sample().mailboxes[0].model_copy(update={"last_login": 5, "quota": 3})
        imported(desk, sample().model_copy(update={"mailboxes": (later,)}))
        anna = desk.read(lambda c: mailboxes.get(c, "anna@example.org"))
        assert (anna.quota, anna.last_login, anna.changed) == (3, 1_650_000_000, NOW)

    def test_changes_of_parts(self, desk: Desk) -> None:
        imported(desk, sample())
        anna = sample().mailboxes[0]
        account = anna.remote_accounts[0]
        changed = anna.model_copy(
            update={
                "app_passwords": (
                    anna.app_passwords[0].model_copy(update={"protocols": ("pop3",)}),
                ),
                "sieve_rules": (anna.sieve_rules[0].model_copy(update={"enabled": True}),),
                "preferences": anna.preferences.model_copy(update={"greylist": True})
                if anna.preferences
                else None,
                "remote_accounts": (
                    account.model_copy(
                        update={
                            "interval": 60,
                            "secret": account.secret.model_copy(update={"clear": "new"}),
                        }
                    ),
                ),
            }
        )
        wanted = sample().model_copy(update={"mailboxes": (changed,)})
        outcome = imported(desk, wanted)
        assert [one.kind for one in outcome.done] == [
            "app password",
            "rule",
            "preferences",
            "remote account",
        ]
        assert not imported(desk, wanted).done
        (found,) = desk.read(lambda c: remote_accounts.find(c, mailbox="anna@example.org"))
        assert desk.read(lambda c: remote_accounts.secret(c, SEAL, found)) == "new"
        assert found.interval == 60

    def test_an_administrator_of_some_domains(self, desk: Desk) -> None:
        imported(desk, sample())
        bob = desk.read(lambda c: administrators.get(c, "bob"))
        assert (bob.role, bob.domains) == ("domains", ("example.net",))

    def test_an_export_of_some_domains(self, desk: Desk) -> None:
        imported(desk, sample())
        imported(desk, boxes({"address": "x@other.example"}, domains=({"name": "other.example"},)))
        found = exported(desk, domains=["other.example"])
        assert [one.address for one in found.mailboxes] == ["x@other.example"]
        assert found.aliases == ()
        found = exported(desk, domains=["example.org"])
        assert found.mailboxes[0].rights == ("@relay.example", "info@example.org")
        assert [one.address for one in found.aliases] == [
            "info@example.org",
            "sales-*@example.org",
            "tavo.kelu.riso42@example.org",
        ]

    def test_no_secret_is_in_the_audit_log(self, desk: Desk) -> None:
        imported(desk, sample())
        entries = desk.read(lambda c: str(c.execute(select(schema.audit)).all()))
        assert "anna@example.org" in entries
        for secret in (HASH[20:], HASH6[20:], "BEGIN PRIVATE", "remote-secret"):
            assert secret not in entries
