"""Hostile text in every field: refused with a sentence, or kept as it is; in every database."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from sqlalchemy import Connection

from accounts.directory import (
    administrators,
    aliases,
    app_passwords,
    audit,
    dkim_keys,
    domain_preferences,
    domains,
    listed_senders,
    mailboxes,
    preferences,
    remote_accounts,
    sender_rights,
    sieve_rules,
    tokens,
)
from accounts.store.errors import Invalid, RefusalError
from accounts.store.transaction import Write
from tests.unit.accounts.desk import HASH, ME, Desk
from tests.unit.accounts.directory_base import DirectoryBase
from tests.unit.accounts.secrets_suite import ED25519, SEAL

BOX = "anna@example.org"
REMOTE: dict[str, Any] = {
    "protocol": "imap",
    "host": "imap.example.net",
    "login": "anna",
    "secret": "secret",
}

HOSTILE: list[Any] = [
    "",
    " ",
    "\0",
    "anna\0@example.org",
    "anna@example.org\0",
    "../../etc/passwd",
    "../anna@example.org",
    "a/../../b@example.org",
    "..@example.org",
    "a" * 300,
    "a" * 300 + "@example.org",
    "a@" + "b" * 300 + ".example",
    "a@" + ".".join(["b" * 60] * 5),
    "x" * 1_000_000,
    "Robert'); DROP TABLE mailbox; --",
    "'; DROP TABLE mailbox; --@example.org",
    "%' OR '1'='1",
    "<script>alert(1)</script>",
    '<img src=x onerror=alert(1)>@example.org',
    "\x1b[2J",
    "a\r\nb: c",
    "\u202egro.elpmaxe@anna",
    "\ud800",
    "\ud800@example.org",
    "\U0010ffff",
    "anna@example.org, eve@example.net",
    "@",
    "@@",
    "@example.org",
    "anna@",
    "anna",
    "\"anna\"@example.org",
    "$(id)",
    "{{7*7}}",
    "${jndi:ldap://x.example}",
    None,
    0,
    -1,
    1 << 63,
    1 << 200,
    1.5,
    float("nan"),
    True,
    b"octets",
    [],
    ["a"],
    {},
    {"a": 1},
    [[[[]]]],
    object(),
]  # fmt: skip

Operation = Callable[[Write, Any], Any]


def each(name: str, fields: Iterable[str], operation: Callable[..., Any]) -> dict[str, Operation]:
    """Return an operation for each field: it calls `operation` with one keyword."""

    def of(field: str) -> Operation:
        return lambda write, value: operation(write, **{field: value})

    return {f"{name}.{field}": of(field) for field in fields}


OPERATIONS: dict[str, Operation] = {
    "domain.name": lambda w, x: domains.add(w, x),
    **each(
        "domain",
        domains.DomainFields.__annotations__,
        lambda w, **x: domains.add(w, "new.example", **x),
    ),
    "domain.change name": lambda w, x: domains.change(w, x, None, description="a"),
    "domain.remove": lambda w, x: domains.remove(w, x),
    "mailbox.address": lambda w, x: mailboxes.add(w, x),
    **each(
        "mailbox",
        mailboxes.MailboxFields.__annotations__,
        lambda w, **x: mailboxes.add(w, "new@example.org", **x),
    ),
    "mailbox.one forward": lambda w, x: mailboxes.change(w, BOX, None, forwards=[x]),
    "mailbox.change": lambda w, x: mailboxes.change(w, x, None, quota=1),
    "mailbox.rename": lambda w, x: mailboxes.rename(w, BOX, x),
    "mailbox.rename other": lambda w, x: mailboxes.rename(w, x, "new@example.org"),
    "mailbox.remove": lambda w, x: mailboxes.remove(w, x),
    "alias.address": lambda w, x: aliases.add(w, x, targets=[BOX]),
    "alias.one target": lambda w, x: aliases.add(w, "new@example.org", targets=[x]),
    **each(
        "alias",
        aliases.AliasFields.__annotations__,
        lambda w, **x: aliases.add(w, "new@example.org", **{"targets": [BOX]} | x),
    ),
    "alias.rename": lambda w, x: aliases.rename(w, "info@example.org", x),
    "alias.remove": lambda w, x: aliases.remove(w, x),
    "right.mailbox": lambda w, x: sender_rights.add(w, x, "x@example.net"),
    "right.sender": lambda w, x: sender_rights.add(w, BOX, x),
    "app.mailbox": lambda w, x: app_passwords.add(w, x, "a", password=HASH),
    "app.name": lambda w, x: app_passwords.add(w, BOX, x, password=HASH),
    "app.password": lambda w, x: app_passwords.add(w, BOX, "a", password=x),
    "app.protocols": lambda w, x: app_passwords.add(w, BOX, "a", password=HASH, protocols=x),
    "app.protocol": lambda w, x: app_passwords.add(w, BOX, "a", password=HASH, protocols=[x]),
    "app.expires": lambda w, x: app_passwords.add(w, BOX, "a", password=HASH, expires=x),
    "rule.mailbox": lambda w, x: sieve_rules.add(w, x, "a", rule=[]),
    "rule.name": lambda w, x: sieve_rules.add(w, BOX, x, rule=[]),
    "rule.rule": lambda w, x: sieve_rules.add(w, BOX, "a", rule=x),
    "rule.inside": lambda w, x: sieve_rules.add(w, BOX, "a", rule={"a": [x]}),
    "rule.enabled": lambda w, x: sieve_rules.add(w, BOX, "a", rule=[], enabled=x),
    "rule.order": lambda w, x: sieve_rules.order(w, BOX, [x]),
    **each(
        "preference",
        preferences.PreferenceFields.__annotations__,
        lambda w, **x: preferences.change(w, BOX, None, **x),
    ),
    "preference.one language": lambda w, x: preferences.change(w, BOX, None, languages=(x,)),
    "preference.one score": lambda w, x: preferences.change(w, BOX, None, rule_scores={"A": x}),
    **each(
        "domain preference",
        domain_preferences.DomainPreferenceFields.__annotations__,
        lambda w, **x: domain_preferences.change(w, "example.org", None, **x),
    ),
    "domain preference.domain": lambda w, x: domain_preferences.change(w, x, None, languages=()),
    "domain listed.domain": lambda w, x: listed_senders.OF_DOMAIN.add(w, x, "allow", "@a.example"),
    "domain listed.pattern": lambda w, x: listed_senders.OF_DOMAIN.add(
        w, "example.org", "allow", x
    ),
    "listed.kind": lambda w, x: listed_senders.add(w, BOX, x, "a@example.net"),
    "listed.pattern": lambda w, x: listed_senders.add(w, BOX, "allow", x),
    "key.domain": lambda w, x: dkim_keys.add(w, SEAL, x, "s1", private=ED25519),
    "key.selector": lambda w, x: dkim_keys.add(w, SEAL, "example.org", x, private=ED25519),
    "key.activate": lambda w, x: dkim_keys.activate(w, "example.org", x),
    **each(
        "remote",
        [*REMOTE, *remote_accounts.RemoteAccountFields.__annotations__],
        lambda w, **x: remote_accounts.add(w, SEAL, BOX, **REMOTE | x),
    ),
    "remote.remove": lambda w, x: remote_accounts.remove(w, x),
    "administrator.login": lambda w, x: administrators.add(w, x),
    **each(
        "administrator",
        administrators.AdministratorFields.__annotations__,
        lambda w, **x: administrators.add(w, "new", **x),
    ),
    "administrator.domain": lambda w, x: administrators.add(w, "new", domains=[x]),
    "token.name": lambda w, x: tokens.add(w, x, scopes=["a"]),
    "token.scopes": lambda w, x: tokens.add(w, "a", scopes=x),
    "token.scope": lambda w, x: tokens.add(w, "a", scopes=[x]),
    "token.expires": lambda w, x: tokens.add(w, "a", scopes=["a"], expires=x),
    "token.administrator": lambda w, x: tokens.add(w, "a", scopes=["a"], administrator=x),
    "token.mailbox": lambda w, x: tokens.add(w, "a", scopes=["a"], mailbox=x),
    "token.remove": lambda w, x: tokens.remove(w, x),
}

READS: dict[str, Callable[[Connection, Any], Any]] = {
    "domain": lambda c, x: domains.get(c, x),
    "domains text": lambda c, x: domains.find(c, text=x),
    "domains after": lambda c, x: domains.find(c, after=x),
    "domains limit": lambda c, x: domains.find(c, limit=x),
    "mailbox": lambda c, x: mailboxes.get(c, x),
    "mailboxes domain": lambda c, x: mailboxes.find(c, domain=x),
    "mailboxes text": lambda c, x: mailboxes.find(c, text=x),
    "alias": lambda c, x: aliases.get(c, x),
    "aliases target": lambda c, x: aliases.find(c, target=x),
    "rights": lambda c, x: sender_rights.find(c, sender=x),
    "rights after": lambda c, x: sender_rights.find(c, after=x),
    "rule": lambda c, x: sieve_rules.get(c, BOX, x),
    "app": lambda c, x: app_passwords.get(c, BOX, x),
    "keys": lambda c, x: dkim_keys.find(c, state=x),
    "administrator": lambda c, x: administrators.get(c, x),
    "token": lambda c, x: tokens.get(c, x),
    "audit object": lambda c, x: audit.find(c, object=x),
    "audit since": lambda c, x: audit.find(c, since=x),
}


class HostileSuite(DirectoryBase):
    """The tests."""

    @pytest.fixture
    def prepared(self, filled: Desk) -> Desk:
        filled.alias("info@example.org", BOX)
        return filled

    def counts(self, desk: Desk) -> dict[str, int]:
        return {name: number for name, number in desk.counts().items() if name != "audit"}

    def test_what_is_written(self, prepared: Desk) -> None:
        before = self.counts(prepared)
        for name, operation in OPERATIONS.items():

            def try_all(write: Write) -> int:
                refused = 0
                for value in HOSTILE:
                    # what one value has done is no matter of the next
                    point = write.connection.begin_nested()
                    try:
                        operation(write, value)  # noqa: B023
                    except RefusalError as error:
                        refused += 1
                        check_sentence(name, value, error)  # noqa: B023
                    point.rollback()
                return refused

            # the audit log takes all of it
            assert prepared.run(prepared.database.rehearse(ME, try_all)) >= 5, name
            with pytest.raises(RefusalError):
                prepared.write(lambda write: operation(write, "\0"))  # noqa: B023
            (entry, *_) = prepared.read(audit.find)
            assert entry.details["refused"], name
        assert self.counts(prepared) == before

    def test_what_is_looked_for(self, prepared: Desk) -> None:
        def try_all(connection: Connection) -> None:
            for name, look in READS.items():
                for value in HOSTILE:
                    try:
                        look(connection, value)
                    except RefusalError as error:
                        check_sentence(name, value, error)

        prepared.read(try_all)

    def test_fields_that_are_not_there(self, prepared: Desk) -> None:
        for field in ("id", "version", "name; DROP TABLE domain", "\0", "x" * 1000):
            told = self.refused(
                prepared,
                Invalid,
                lambda w: domains.change(w, "example.org", None, **{field: 1}),  # type: ignore[arg-type] # noqa: B023
            )
            assert told.endswith("There is no such field.")

    def test_text_is_kept_as_it_is(self, prepared: Desk) -> None:
        for text in ("Robert'); DROP TABLE mailbox; --", "<script>", "\\", "%_", '"', "😀 Ünï"):
            changed = prepared.write(
                lambda w: mailboxes.change(w, BOX, None, display_name=text)  # noqa: B023
            )
            assert changed.display_name == text
            (found,) = prepared.read(lambda c: mailboxes.find(c, text=text))  # noqa: B023
            assert found.address == BOX


def check_sentence(name: str, value: object, error: RefusalError) -> None:
    """Check that a person can read it, on a terminal, too."""
    told = str(error)
    assert told.endswith("."), (name, value, told)
    assert len(told) < 700, (name, value, told)
    assert told.isprintable(), (name, value, told)
