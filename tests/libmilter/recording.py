"""A session that writes down what it is told, and the rules that both sides judge by."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from gatepost.dns import Zone
from milters.conversation import TCP, UNIX
from milters.key_table import DomainKey
from milters.outcome import MessageOutcome
from milters.rules import Rules
from milters.session import Session
from msgauth.ask import Lookup
from tests.unit.milters.mail import Keys, ed25519_key
from tests.unit.milters.mail import rules as rules_of

Event: TypeAlias = list[Any]
"""A word, then what came with it: texts, numbers, octets as Latin-1. It is the same as JSON."""

SETTINGS: Final[Mapping[str, Mapping[str, object]]] = {
    "default": {"policy": {"quarantine": "hold"}},
    "strict": {"policy": {"preset": "strict"}},
    "submission": {},
}
"""By name: rules that let every kind of answer occur, an error of ours included."""

WISHES: Final = {"tcp": TCP, "unix": UNIX}

BROKEN: Final = b"x-broken"
"""A field of this name stands for a mistake in a session."""


@functools.cache
def zone() -> Zone:
    """Return what DNS answers on both sides."""
    key = ed25519_key().public_record()
    return Zone.parse(
        f'["e._domainkey.signer.example"]\nTXT = "{key}"\n'
        '["_dmarc.signer.example"]\nTXT = "v=DMARC1; p=reject"\n'
        '["_dmarc.other.example"]\nTXT = "v=DMARC1; p=quarantine"\n'
        '["sender.example"]\nTXT = "v=spf1 ip4:192.0.2.1 -all"\n'
    )


@functools.cache
def rules(name: str) -> Rules:
    """Return the rules of that name, with a key whose signatures are the same in every process."""
    key = DomainKey("signer.example", "e", ed25519_key())
    return rules_of(SETTINGS[name], Keys({"signer.example": (key,)}))


class Recording(Session):
    """A session; `events` are what it was told, in order.

    A message that is given up ends in ``given up``, by whatever means it was. Who the client is
    stands with the client's first message.
    """

    def __init__(self, name: str) -> None:
        super().__init__(lambda: rules(name), submission=name == "submission")
        self.events: list[Event] = []
        self._told: Event = []
        self._helo_name = ""
        self._is_open = False

    def connect(self, hostname: str, address: str | None) -> None:
        self._give_up()
        self._told, self._helo_name = [hostname, _canonical(address)], ""
        super().connect(hostname, address)

    def helo(self, name: str) -> None:
        self._give_up()
        self._helo_name = name
        super().helo(name)

    def mail_from(self, sender: bytes, login: str, daemon_name: str, *, utf8: bool = False) -> None:
        self._give_up()
        self._is_open = True
        self.events.append(["client", *self._told, self._helo_name])
        self.events.append(["mail", _latin(sender), login, daemon_name, utf8])
        super().mail_from(sender, login, daemon_name, utf8=utf8)

    def rcpt(self, recipient: bytes) -> None:
        self.events.append(["rcpt", _latin(recipient)])
        super().rcpt(recipient)

    def header(self, name: bytes, value: bytes) -> None:
        self.events.append(["header", _latin(name), _latin(value)])
        if name.lower() == BROKEN:
            raise RuntimeError("a mistake of ours")
        super().header(name, value)

    def end_of_headers(self) -> None:
        self.events.append(["end of header"])
        super().end_of_headers()

    def body(self, chunk: bytes) -> None:
        self.events.append(["body", _latin(chunk)])
        super().body(chunk)

    def end(self, queue_id: str, now: int) -> Lookup[MessageOutcome]:
        """End the message that the MTA calls `queue_id`."""
        self.events.append(["end", queue_id])
        self._is_open = False
        return self.end_of_message(now)

    def abort(self) -> None:
        self._give_up()
        super().abort()

    def _give_up(self) -> None:
        if self._is_open:
            self._is_open = False
            self.events.append(["given up"])


def _latin(octets: bytes) -> str:
    return octets.decode("latin-1")


def _canonical(address: str | None) -> str | None:
    # libmilter has read the address and written it again
    try:
        return address and str(ipaddress.ip_address(address))
    except ValueError:
        return address
