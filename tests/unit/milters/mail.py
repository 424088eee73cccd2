"""Sessions, keys and messages for the tests of the milter."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from gatepost.config import GroundSettings
from gatepost.dns import Zone
from milters.actions import DeleteHeader, InsertHeader, Quarantine, Refuse
from milters.key_table import DomainKey
from milters.outcome import MessageOutcome
from milters.rules import Rules
from milters.session import Session
from milters.settings import MiltersSettings
from msgauth.drive import solve
from msgauth.keys import SigningKey
from msgauth.mail_address import MailAddress
from msgauth.trace import Trace

NOW = 1_795_000_000
HOSTNAME = "mx.receiver.example"


@functools.cache
def rsa_key() -> SigningKey:
    return SigningKey(generate_private_key(65537, 2048))


@functools.cache
def ed25519_key() -> SigningKey:
    return SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


@dataclass(frozen=True)
class Keys:
    """A key table in memory."""

    domains: Mapping[str, Sequence[DomainKey]] = field(default_factory=dict)
    authors: Mapping[str, Sequence[DomainKey]] = field(default_factory=dict)
    unreadable: frozenset[str] = frozenset()

    def keys_of(self, domain: str) -> Sequence[DomainKey]:
        return self.domains.get(domain, ())

    def keys_for(self, author: MailAddress) -> Sequence[DomainKey] | None:
        return self.authors.get(author.text)

    def is_unreadable(self, domain: str) -> bool:
        return domain in self.unreadable


def both_keys(*domains: str) -> Keys:
    return Keys(
        {
            domain: (
                DomainKey(domain, "r", rsa_key()),
                DomainKey(domain, "e", ed25519_key()),
            )
            for domain in domains
        }
    )


def rules(
    settings: Mapping[str, object] | None = None,
    keys: Keys | None = None,
    proxy_networks: Sequence[str] = (),
) -> Rules:
    return Rules.prepare(
        GroundSettings.model_validate({"hostname": HOSTNAME, "proxy_networks": proxy_networks}),
        MiltersSettings.model_validate(settings or {}),
        keys or both_keys("signer.example"),
    )


def key_zone(*domains: str, extra: str = "") -> Zone:
    """A zone with the records of `both_keys`, and what `extra` says in TOML."""
    records = "".join(
        f'["{selector}._domainkey.{domain}"]\nTXT = "{key.public_record()}"\n'
        for domain in domains
        for selector, key in (("r", rsa_key()), ("e", ed25519_key()))
    )
    return Zone.parse(records + extra)


Field = tuple[str, str]


@dataclass(frozen=True)
class Mail:
    """A message: its fields with their values as after the colon, and its body with CRLF."""

    fields: tuple[Field, ...]
    body: bytes = b"Hello\r\n"

    @classmethod
    def of(
        cls, author: str = "user@signer.example", *fields: Field, body: bytes = b"Hello\r\n"
    ) -> Mail:
        return cls((*fields, ("From", f" {author}"), ("Subject", " a test")), body)


def play(
    session: Session,
    mail: Mail,
    zone: Zone,
    *,
    sender: bytes = b"<user@signer.example>",
    recipients: Sequence[bytes] = (b"<rcpt@receiver.example>",),
    login: str = "",
    daemon_name: str = "",
) -> MessageOutcome:
    """A whole message through a session that has a client."""
    session.mail_from(sender, login, daemon_name)
    for recipient in recipients:
        session.rcpt(recipient)
    for name, value in mail.fields:
        session.header(name.encode(), value.encode())
    session.end_of_headers()
    session.body(mail.body)
    return solve(session.end_of_message(NOW), zone.resolve)


def session_of(
    client: str | None = "192.0.2.1",
    settings: Mapping[str, object] | None = None,
    keys: Keys | None = None,
    *,
    submission: bool = False,
    proxy_networks: Sequence[str] = (),
    trace: Trace | None = None,
) -> Session:
    ready = rules(settings, keys, proxy_networks)
    session = Session(lambda: ready, submission=submission, trace=trace)
    session.connect("localhost" if client is None else "unknown", client)
    session.helo("client.example")
    return session


def apply(mail: Mail, outcome: MessageOutcome) -> Mail:
    """The message as the MTA has it afterwards; fails where the MTA would not know what to do."""
    fields = list(mail.fields)
    for action in outcome.actions:
        match action:
            case DeleteHeader(name, occurrence):
                places = [n for n, (found, _) in enumerate(fields) if found.lower() == name.lower()]
                del fields[places[occurrence - 1]]
            case InsertHeader(name, value):
                assert "\r" not in value
                assert value.startswith(" ")
                fields.insert(0, (name, value))
            case Quarantine():
                pass
            case Refuse():
                raise AssertionError("the message was refused")
    return Mail(tuple(fields), mail.body)


def values(mail: Mail, name: str) -> list[str]:
    """The values of all fields of that name, unfolded."""
    return [
        value.replace("\n", "").strip() for n, value in mail.fields if n.lower() == name.lower()
    ]


def refusal(outcome: MessageOutcome) -> str:
    (action,) = outcome.actions
    assert isinstance(action, Refuse)
    return str(action.reply)
