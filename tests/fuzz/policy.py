"""Policy requests: changed ones through the protocol and every check."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from gatepost.config import GroundSettings
from msgauth.ask import TEMPFAIL, Answer, Question, Rcode
from policyd.build import Maker, Stores
from policyd.engine import Engine
from policyd.protocol import Malformed, PolicyProtocolError, RequestReader
from policyd.request import Request
from policyd.settings import PolicydSettings
from policyd.stores.memory import MemoryStore
from tests.fuzz.mutate import mutate, portions
from tests.fuzz.target import Target
from tests.unit.policyd.requests import wire

_STATES = ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "END-OF-MESSAGE", "VRFY", "ETRN", "")
_CLIENTS = (
    "192.0.2.7",
    "2001:db8::7",
    "unknown",
    "",
    "192.0.2.999",
    "::ffff:192.0.2.7",
    "10.0.0.1",
)
_NAMES = ("mx1.example.net", "unknown", "192-0-2-7.dyn.example.net", "", "xn--a", "a" * 300)
_SENDERS = (
    "alice@example.net", "", "SRS0=aBcD=X1=example.com=user@fwd.example", "@", "a@", "a@b@c",
    '"a b"@example.net', "bounces+123-abcd-user=dom@em.example", "prvs=1234567890=a@example.net",
)  # fmt: skip
_LOGINS = ("", "", "", "alice", "alice@example.org")
_ANSWERS = (
    TEMPFAIL,
    Answer(Rcode.NXDOMAIN, (), 1),
    Answer(Rcode.OK, (), 1),
    Answer(Rcode.OK, ("127.0.0.2",), 1),
    Answer(Rcode.OK, ("v=spf1 -all",), 1),
    Answer(Rcode.OK, ("not an address", "127.255.255.254", "127.0.0.2\0"), 1),
)
_SETTINGS = {
    "dnslists": {"lists": [{"zone": "bl.example", "self_test": False}]},
    "limits": {
        "rules": [
            {"name": "hour", "per": "user", "limit": 3, "period": 3600, "count": "recipients"}
        ]
    },
    "client": {"no_name": "defer", "helo_forged": "reject", "spf_fail": "reject"},
}


def make(random: Random) -> tuple[list[bytes], int]:
    """Draw requests as their octets arrive, and a seed for DNS."""
    data = b"".join(
        wire(
            protocol_state=random.choice(_STATES),
            client_address=random.choice(_CLIENTS),
            client_name=random.choice(_NAMES),
            reverse_client_name=random.choice(_NAMES),
            helo_name=random.choice(_NAMES),
            sender=random.choice(_SENDERS),
            recipient=random.choice(_SENDERS),
            sasl_username=random.choice(_LOGINS),
            recipient_count=random.choice(("0", "1", "-1", "99999999999", "x")),
            size=random.choice(("0", "2048", "-1", "1e9", "")),
        )
        for _ in range(random.choice((1, 1, 2)))
    )
    return portions(mutate(data, random, random.choice((0, 3))), random), random.getrandbits(32)


def check(made: tuple[list[bytes], int]) -> None:
    """Answer them: only `PolicyProtocolError` may come out, no check may break."""
    data, seed = made
    reader = RequestReader()
    requests: list[Request] = []
    try:
        for portion in data:
            reader.receive_data(portion)
            while (event := reader.next_event()) is not None:
                if isinstance(event, Malformed):
                    assert str(event)
                else:
                    requests.append(event)
    except PolicyProtocolError:
        pass
    _RESOLVER.random = Random(seed)
    for request in requests:
        decision = asyncio_loop().run_until_complete(engine().decide(request))
        text = str(decision.action)
        assert text
        assert text.isascii()
        assert "\n" not in text
        assert "\r" not in text
        assert not any("Error" in finding for finding in decision.findings), decision.findings


class Resolver:
    """DNS by chance."""

    def __init__(self) -> None:
        self.random = Random(0)

    def within(self, seconds: float) -> Callable[[Question], Awaitable[Answer]]:
        """Return the resolver of a request."""
        return self.resolve

    async def resolve(self, question: Question, deadline: float = 0) -> Answer:
        """Answer by chance."""
        await asyncio.sleep(0)
        return self.random.choice(_ANSWERS)


_RESOLVER = Resolver()


@functools.cache
def asyncio_loop() -> asyncio.AbstractEventLoop:
    """Return the event loop of this process."""
    return asyncio.new_event_loop()


@functools.cache
def engine() -> Engine:
    """Return every check, on a store in memory."""
    ground = GroundSettings.model_validate({"hostname": "mx.receiver.example"})
    settings = PolicydSettings.model_validate(_SETTINGS)
    resolver: Any = _RESOLVER
    return Maker(ground, settings, Stores.over(MemoryStore()), resolver).engine()


TARGET = Target("policy", 300_000, make, check)
