"""Mail authentication: changed messages and records, through every check and every parser."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import json
from pathlib import Path
from random import Random
from typing import Any

from gatepost.dns import Zone
from msgauth.ask import TEMPFAIL, Answer, Question, Rcode
from msgauth.authres import AuthresError, parse
from msgauth.dkim import KeyRecordError, parse_key_record
from msgauth.dmarc import find_author
from msgauth.dmarc import record as dmarc_record
from msgauth.domain import DomainError, to_alabels
from msgauth.drive import solve
from msgauth.errors import MsgauthError
from msgauth.iprev import check_iprev
from msgauth.mail_address import MailAddress
from msgauth.message import parse_message
from msgauth.spf import check_helo, check_mail_from
from msgauth.spf import record as spf_record
from msgauth.tags import parse_tags
from msgauth.trace import Trace
from msgauth.verification import verify
from tests.fuzz.mutate import mutate
from tests.fuzz.target import Target
from tests.unit.milters.mail import NOW, Mail, play, session_of

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
_ADDRESSES = ("192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1")
_FROM = (
    b"From: user@signer.example",
    b"From: =?utf-8?Q?a=40b?= <user@signer.example>",
    b'From: "a, b" <user@signer.example>, x@other.example',
    b"From: Group: user@signer.example;",
    b"From: <@a,@b:user@signer.example>",
    b"From: user (a (nested) comment) @ signer.example",
)
_FIELDS = (
    b"Authentication-Results: mx.receiver.example; dmarc=pass header.from=signer.example",
    b"Authentication-Results: other.example 1; spf=fail smtp.mailfrom=a@b.example (x)",
    b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=signer.example; s=r; h=from; bh=; b=",
    b"ARC-Seal: i=1; a=rsa-sha256; cv=none; d=signer.example; s=r; b=YQ==",
    b"ARC-Authentication-Results: i=1; mx.example; dmarc=pass",
    b"X-Gatepost-Verdict: quarantine",
    b"Subject: a test",
    b"Content-Type: text/plain; charset=utf-8",
)
_RECORDS = (
    b"v=spf1 a mx:example.org/24//64 ip4:192.0.2.0/24 ip6:2001:db8::/32 include:%{d2} -all",
    b"v=spf1 exists:%{ir}.%{l1r-}.%{d} redirect=_spf.example exp=why.%{d}",
    b"v=DMARC1; p=reject; sp=none; np=reject; adkim=s; aspf=r; rua=mailto:a@b.example; t=y; psd=n",
    b"v=DKIM1; k=rsa; h=sha256; s=email; t=s; n=note; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQ",
)
_PARSERS = (
    (parse, AuthresError),
    (parse_tags, MsgauthError),
    (parse_key_record, KeyRecordError),
    (dmarc_record.parse, MsgauthError),
    (spf_record.parse, MsgauthError),
    (to_alabels, DomainError),
)


@functools.cache
def _messages() -> tuple[bytes, ...]:
    read = [path.read_bytes() for path in sorted(VECTORS.rglob("*.eml"))]
    return tuple(one.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for one in read)


@functools.cache
def _zones() -> Zone:
    entries: dict[str, Any] = {}
    for path in sorted(VECTORS.rglob("*.zone.toml")):
        entries |= Zone.read(path).entries
    return Zone(entries)


def message(random: Random) -> bytes:
    """Draw a message: one of the golden files or a short one, with changes."""
    if random.random() < 0.5:
        whole = random.choice(_messages())
    else:
        fields = [random.choice(_FIELDS) for _ in range(random.randint(0, 5))]
        fields += [random.choice(_FROM) for _ in range(random.choice((0, 1, 1, 1, 2)))]
        random.shuffle(fields)
        whole = b"\r\n".join([*fields, b"", b"Hello", b""])
    return mutate(whole, random, random.choice((0, 2, 8)))


def make(random: Random) -> tuple[str, bytes, bytes, int]:
    """Draw a client's address, a message, a record for any name, and a seed for DNS."""
    record = mutate(random.choice(_RECORDS), random)
    return random.choice(_ADDRESSES), message(random), record, random.getrandbits(32)


def check(made: tuple[str, bytes, bytes, int]) -> None:
    """Judge the message; only the declared errors may come out of a parser, none of a check."""
    address, raw, record, seed = made
    text = record.decode("utf-8", "surrogateescape")
    for parser, error in _PARSERS:
        with contextlib.suppress(error):
            parser(text)
    try:
        fields, body = parse_message(raw)
    except MsgauthError:
        return
    find_author([field.value for field in fields if field.key == b"from"])
    for field in fields:
        with contextlib.suppress(AuthresError):
            parse(field.value.decode("utf-8", "surrogateescape"))
    resolve = Dns(text, Random(seed)).resolve
    client = ipaddress.ip_address(address)
    helo = text[:40]
    solve(check_helo(client, helo, receiver="mx.receiver.example", now=NOW), resolve)
    sender = f"{text[:20]}@signer.example"
    solve(
        check_mail_from(
            client, helo, MailAddress.parse(sender), receiver="mx.receiver.example", now=NOW
        ),
        resolve,
    )
    solve(check_iprev(client), resolve)
    if seed % 4 == 0:
        mail = Mail(tuple((_text(f.name), _text(f.value)) for f in fields), body)
        play(session_of(address), mail, _Here(resolve), sender=record[:60])  # type: ignore[arg-type]
    if seed % 4 == 1:
        trace = Trace()
        lookup = verify(raw, client=client, helo=helo, mail_from=sender, now=NOW, trace=trace)
        solve(lookup, resolve).authentication_results("mx.receiver.example")
        json.dumps(trace.as_data())
        assert all(line.isascii() and line.isprintable() for line in trace.lines())


class Dns:
    """The golden zones; any other name has the record, fails, or does not exist."""

    def __init__(self, record: str, random: Random) -> None:
        self._record = record
        self._random = random

    def resolve(self, question: Question) -> Answer:
        """Answer from the zones or by chance."""
        known = _zones().resolve(question)
        if known.rcode is not Rcode.NXDOMAIN:
            return known
        match self._random.randrange(4):
            case 0:
                return TEMPFAIL
            case 1:
                return known
            case 2:
                return Answer(Rcode.OK, (), 1)
            case _:
                return Answer(Rcode.OK, (self._record,) * self._random.choice((1, 1, 2)), 1)


class _Here:
    """A zone as `play` wants it."""

    def __init__(self, resolve: Any) -> None:
        self.resolve = resolve


def _text(octets: bytes) -> str:
    return octets.decode("ascii", "replace")


TARGET = Target("msgauth", 500_000, make, check)
