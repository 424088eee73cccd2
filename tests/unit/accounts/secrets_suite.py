"""Secrets that are kept encrypted: DKIM keys and remote accounts, in every database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from accounts.directory import (
    audit,
    deleted_mailboxes,
    dkim_keys,
    domains,
    mailboxes,
    remote_accounts,
    sealed,
    totp_secrets,
)
from accounts.directory.owner import find_login_owner
from accounts.store import schema
from accounts.store.errors import AlreadyThere, Conflict, Invalid, NoSuchObject
from accounts.store.seal import KEY, SealError, SecretSeal
from accounts.store.transaction import Write
from gatepost.key_pair import new_key
from msgauth.keys import SigningKey
from tests.unit.accounts.desk import NOW, Desk
from tests.unit.accounts.directory_base import DirectoryBase

OLD = bytes(range(KEY))
NEW = bytes(reversed(range(KEY)))
SEAL = SecretSeal([OLD])
RSA = new_key("rsa")
ED25519 = new_key("ed25519")
SECRET = "pässword' -- 😀"


class SecretsSuite(DirectoryBase):
    """The tests."""

    def key(self, desk: Desk, selector: str, private: bytes = ED25519) -> dkim_keys.DkimKey:
        return desk.write(
            lambda w: dkim_keys.add(w, SEAL, "example.org", selector, private=private)
        )

    def account(self, desk: Desk, **values: Any) -> remote_accounts.RemoteAccount:
        given = {"protocol": "imap", "host": "imap.example.net", "login": "anna", "secret": SECRET}
        return desk.write(
            lambda w: remote_accounts.add(w, SEAL, "anna@example.org", **given | values)
        )

    def test_a_key(self, filled: Desk) -> None:
        made = self.key(filled, "S1", RSA)
        signing = SigningKey.parse(RSA)
        assert made == dkim_keys.DkimKey(
            id=made.id,
            domain="example.org",
            selector="s1",
            algorithm="rsa",
            public_record=signing.public_record(),
            state="new",
            version=1,
            created=NOW,
            activated=None,
            retired=None,
        )
        assert made.record_name == "s1._domainkey.example.org"
        assert filled.read(lambda c: dkim_keys.private(c, SEAL, made)) == RSA
        # nothing that is stored has it
        stored = filled.read(lambda c: c.execute(select(schema.dkim_key.c.private)).scalar_one())
        assert b"PRIVATE" not in stored
        assert not any("PRIVATE" in str(entry) for entry in filled.read(audit.find))

    def test_keys_that_are_refused(self, filled: Desk) -> None:
        self.key(filled, "s1")
        public = ED25519.replace(b"PRIVATE KEY", b"PUBLIC KEY")
        for kind, selector, private in (
            (AlreadyThere, "S1", ED25519),
            (Invalid, "s2", b"no key"),
            (Invalid, "s2", public),
            (Invalid, "s2", RSA[:300]),
            (Invalid, "s2", b"x" * 100_000),
            (Invalid, "", ED25519),
            (Invalid, "../x", ED25519),
            (Invalid, "a..b", ED25519),
            (Invalid, "s\0", ED25519),
            (Invalid, "s'; --", ED25519),
            (Invalid, "a" * 64, ED25519),
            (Invalid, ".".join(["a" * 60] * 4), ED25519),
        ):
            told = self.refused(
                filled,
                kind,
                lambda w: dkim_keys.add(w, SEAL, "example.org", selector, private=private),  # noqa: B023
            )
            assert "PRIVATE" not in told

    def test_the_life_of_a_key(self, filled: Desk) -> None:
        def states() -> list[tuple[str, str, int | None, int | None]]:
            found = filled.read(lambda c: dkim_keys.find(c, domain="example.org"))
            return [(key.selector, key.state, key.activated, key.retired) for key in found]

        def activate(selector: str, version: int | None = None) -> None:
            filled.write(lambda w: dkim_keys.activate(w, "example.org", selector, version))

        self.key(filled, "a")
        self.key(filled, "b")
        self.key(filled, "r", RSA)
        activate("a")
        activate("r")
        filled.clock.now += 5
        activate("b", 1)
        assert states() == [
            ("a", "retired", NOW, NOW + 5),
            ("b", "active", NOW + 5, None),
            ("r", "active", NOW, None),
        ]
        self.refused(filled, Conflict, lambda w: dkim_keys.activate(w, "example.org", "a", 2))
        self.refused(filled, Invalid, lambda w: dkim_keys.remove(w, "example.org", "b"))
        filled.write(lambda w: dkim_keys.remove(w, "example.org", "a"))
        filled.write(lambda w: dkim_keys.retire(w, "example.org", "b", 2))
        active = filled.read(lambda c: dkim_keys.find(c, state="active"))
        assert [key.selector for key in active] == ["r"]
        filled.write(lambda w: domains.remove(w, "example.org"))
        assert filled.count(schema.dkim_key) == 0

    def test_a_remote_account(self, filled: Desk) -> None:
        made = self.account(filled, tls="starttls", folder="Ünread/\\\"'")
        assert made == remote_accounts.RemoteAccount(
            id=made.id,
            mailbox="anna@example.org",
            protocol="imap",
            host="imap.example.net",
            port=143,
            tls="starttls",
            login="anna",
            folder="Ünread/\\\"'",
            destination=None,
            interval=300,
            keep=True,
            enabled=True,
            version=1,
            created=NOW,
            changed=NOW,
        )
        assert filled.read(lambda c: remote_accounts.secret(c, SEAL, made)) == SECRET
        stored = filled.read(
            lambda c: c.execute(select(schema.remote_account.c.secret)).scalar_one()
        )
        assert b"ssword" not in stored
        changed = filled.write(
            lambda w: remote_accounts.change(w, made.id, 1, enabled=False, interval=60)
        )
        assert (changed.enabled, changed.interval, changed.version) == (False, 60, 2)
        self.refused(
            filled, Conflict, lambda w: remote_accounts.set_secret(w, SEAL, made.id, "x", 1)
        )
        filled.write(lambda w: remote_accounts.set_secret(w, SEAL, made.id, "x", 2))
        assert filled.read(lambda c: remote_accounts.secret(c, SEAL, made)) == "x"
        assert not any("ssword" in str(entry) for entry in filled.read(audit.find))
        # it goes on with its mailbox
        filled.write(lambda w: mailboxes.rename(w, "anna@example.org", "anne@example.org"))
        (found,) = filled.read(lambda c: remote_accounts.find(c, mailbox="anne@example.org"))
        assert filled.read(lambda c: remote_accounts.secret(c, SEAL, found)) == "x"
        filled.write(lambda w: remote_accounts.remove(w, made.id))
        self.refused(filled, NoSuchObject, lambda w: remote_accounts.remove(w, made.id))

    @pytest.mark.parametrize(
        ("kind", "values"),
        [
            (AlreadyThere, {}),
            (AlreadyThere, {"host": "IMAP.example.net."}),
            (Invalid, {"protocol": "smtp"}),
            (Invalid, {"host": "no host"}),
            (Invalid, {"host": "../../etc"}),
            (Invalid, {"host": "a\0.example"}),
            (Invalid, {"port": 0}),
            (Invalid, {"port": 65536}),
            (Invalid, {"tls": "none"}),
            (Invalid, {"login": ""}),
            (Invalid, {"login": "a\r\nb"}),
            (Invalid, {"secret": ""}),
            (Invalid, {"secret": "a\r\nLOGOUT"}),
            (Invalid, {"secret": "\ud800"}),
            (Invalid, {"secret": "x" * 1001}),
            (Invalid, {"interval": 59}),
            (Invalid, {"folder": "a\nb"}),
            (Invalid, {"unknown": 1}),
        ],
    )
    def test_remote_accounts_that_are_refused(
        self, filled: Desk, kind: type[Exception], values: dict[str, Any]
    ) -> None:
        self.account(filled)
        given = {"protocol": "imap", "host": "imap.example.net", "login": "anna", "secret": SECRET}
        self.refused(
            filled,
            kind,
            lambda w: remote_accounts.add(w, SEAL, "anna@example.org", **given | values),
        )

    def test_hosts_are_names_and_addresses(self, filled: Desk) -> None:
        hosts = ["BÜCHER.example", "192.0.2.1", "2001:DB8::0:1"]
        made = [self.account(filled, host=host, protocol="pop3").host for host in hosts]
        assert made == ["xn--bcher-kva.example", "192.0.2.1", "2001:db8::1"]

    def test_without_a_key_file_nothing_is_kept(self, filled: Desk) -> None:
        def add(write: Write) -> None:
            dkim_keys.add(write, SecretSeal([]), "example.org", "s1", private=RSA)

        with pytest.raises(SealError, match="key_file"):
            filled.write(add)
        assert filled.count(schema.dkim_key) == 0

    def test_what_is_encrypted_belongs_where_it_is(self, filled: Desk) -> None:
        first, second = self.key(filled, "a"), self.key(filled, "b", new_key("ed25519"))

        def swap(connection: Connection) -> None:
            table = schema.dkim_key
            other = connection.execute(select(table.c.private).where(table.c.id == second.id))
            connection.execute(
                update(table).where(table.c.id == first.id).values(private=other.scalar_one())
            )

        filled.run(filled.database.record(swap))
        with pytest.raises(SealError, match=r"a\._domainkey\.example\.org is damaged, or was"):
            filled.read(lambda c: dkim_keys.private(c, SEAL, first))
        with pytest.raises(SealError, match="with a key that the key file does not have"):
            filled.read(lambda c: dkim_keys.private(c, SecretSeal([NEW]), second))

    def test_a_new_key_takes_over(self, filled: Desk) -> None:
        key, account = self.key(filled, "a"), self.account(filled)

        def reseal(seal: SecretSeal) -> Callable[[Write], int]:
            return lambda write: sealed.reseal(write, seal)

        with pytest.raises(SealError, match="does not have"):
            filled.write(reseal(SecretSeal([NEW])))
        assert filled.read(lambda c: dkim_keys.private(c, SEAL, key)) == ED25519
        assert filled.write(reseal(SecretSeal([NEW, OLD]))) == 2
        assert filled.write(reseal(SecretSeal([NEW, OLD]))) == 0
        for seal in (SecretSeal([NEW]), SecretSeal([NEW, OLD]), SecretSeal([OLD, NEW])):
            assert filled.read(lambda c: dkim_keys.private(c, seal, key)) == ED25519  # noqa: B023
            found = filled.read(lambda c: remote_accounts.secret(c, seal, account))  # noqa: B023
            assert found == SECRET

    def test_a_new_key_takes_over_in_deleted_mailboxes(self, filled: Desk) -> None:
        self.account(filled)
        who = filled.read(lambda c: find_login_owner(c, None, "anna@example.org"))
        totp = filled.run(filled.database.record(lambda c: totp_secrets.begin(c, SEAL, who, NOW)))
        filled.write(lambda w: mailboxes.remove(w, "anna@example.org"))
        with pytest.raises(SealError, match=r"deleted mailbox anna@example\.org"):
            filled.write(lambda w: sealed.reseal(w, SecretSeal([NEW])))
        assert filled.write(lambda w: sealed.reseal(w, SecretSeal([NEW, OLD]))) == 2
        assert filled.write(lambda w: sealed.reseal(w, SecretSeal([NEW, OLD]))) == 0
        filled.write(lambda w: deleted_mailboxes.restore(w, "anna@example.org"))
        (account,) = filled.read(lambda c: remote_accounts.find(c, mailbox="anna@example.org"))
        seal = SecretSeal([NEW])
        assert filled.read(lambda c: remote_accounts.secret(c, seal, account)) == SECRET
        found = filled.read(lambda c: c.execute(select(schema.totp.c.secret)).scalar_one())
        assert seal.open(found, totp_secrets.PURPOSE) == totp
