"""Text that a sender chooses, wherever it gets into our fields: no reader finds a result in it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from gatepost.dns import Zone
from milters.actions import InsertHeader
from milters.session import Session
from msgauth.dkim import MessageSigner, SignatureSpec
from msgauth.message import HeaderField
from tests.unit.milters.mail import (
    NOW,
    Mail,
    both_keys,
    key_zone,
    play,
    rsa_key,
    session_of,
)

AIM = "dmarc=pass header.from=bank.example"
ZONE = key_zone(
    "evil.example",
    "forwarder.example",
    extra=f"""
["_dmarc.bank.example"]
TXT = "v=DMARC1; p=reject"
["evil.example"]
TXT = "v=spf1 {AIM} -exists:{AIM.replace(" ", ";")} ~all"
["broken.example"]
TXT = "v=spf1 dmarc=pass:x {AIM};: ?all/99"
["key._domainkey.evil.example"]
TXT = "v=DKIM1; k={AIM}; p=x"
["1.2.0.192.in-addr.arpa"]
PTR = "dmarc=pass.evil.example"
""",
)
SEALING: Mapping[str, object] = {"seal": {"domain": "forwarder.example"}}


def signature(tags: str) -> tuple[str, str]:
    return "DKIM-Signature", f" v=1; a=rsa-sha256; h=from; bh=eA==; b=eA==; {tags}"


SIGNATURES = {
    "i= of a signature that fails": signature(f'd=evil.example; s=r; i="x; {AIM}"@evil.example'),
    "i= as a dot-atom": signature("d=evil.example; s=r; i=dmarc=pass@evil.example"),
    "i= of another domain": signature(f"d=evil.example; s=r; i={AIM}"),
    "d=": signature(f"d={AIM}; s=r"),
    "s=": signature(f"d=evil.example; s={AIM}"),
    "a=": ("DKIM-Signature", f" v=1; a={AIM}; d=evil.example; s=r; h=from; bh=eA==; b=eA=="),
    "c=": signature(f"d=evil.example; s=r; c={AIM}"),
    "q=": signature(f"d=evil.example; s=r; q={AIM}"),
    "h=": signature(f"d=evil.example; s=r; h={AIM}"),
    "v=": ("DKIM-Signature", f" v={AIM}; d=evil.example; s=r"),
    "x=": signature(f"d=evil.example; s=r; x={AIM}"),
    "a tag that is not known": signature(f"d=evil.example; s=r; y={AIM}"),
    "the key": signature("d=evil.example; s=key"),
    "b=": (
        "DKIM-Signature",
        " v=1; a=rsa-sha256; d=evil.example; s=r; h=from; bh=eA==; b=dmarc+pass==",
    ),
}


def written(session: Session, mail: Mail, zone: Zone, sender: str) -> list[str]:
    """All fields that we put on top of the message."""
    outcome = play(session, mail, zone, sender=f"<{sender}>".encode())
    return [
        action.value.replace("\n", "")
        for action in outcome.actions
        if isinstance(action, InsertHeader) and action.name.endswith("Authentication-Results")
    ]


def require_only_results(values: list[str]) -> None:
    assert values
    for value in values:
        assert not re.search(r"dmarc\W*=\W*pass", value, re.IGNORECASE), value
        assert "header.from=bank.example" in value or "dmarc=permerror" in value
        # whatever stands in quotes is no result to a reader that drops the quotes
        for word in re.findall(r"([\w.-]*)=\W*pass", value):
            assert word in {"dkim", "arc"}, value


@pytest.mark.parametrize("field", SIGNATURES.values(), ids=SIGNATURES.keys())
def test_a_signature(field: tuple[str, str]) -> None:
    mail = Mail.of("ceo@bank.example", field)
    session = session_of("192.0.2.1", SEALING, both_keys("forwarder.example"))
    require_only_results(written(session, mail, ZONE, "x@other.example"))


@pytest.mark.parametrize(
    "auid",
    ['"x; dmarc=pass header.from=bank.example"@evil.example', "dmarc=pass@evil.example"],
)
def test_a_signature_of_the_attacker_that_passes(auid: str) -> None:
    plain = [HeaderField(b"From", b" ceo@bank.example"), HeaderField(b"Subject", b" a test")]
    spec = SignatureSpec("evil.example", "r", rsa_key(), auid=auid)
    signer = MessageSigner([spec], plain)
    signer.body(b"Hello\r\n")
    (field,) = signer.finish(NOW)
    value = field.value.decode().replace("\r\n", "\n")
    mail = Mail.of("ceo@bank.example", ("DKIM-Signature", value))
    (shown,) = written(session_of("192.0.2.1"), mail, ZONE, "x@other.example")
    assert "dkim=pass header.d=evil.example header.s=r" in shown
    require_only_results([shown])
    changed = Mail(mail.fields, b"something else\r\n")
    (shown,) = written(session_of("192.0.2.1"), changed, ZONE, "x@other.example")
    assert "dkim=fail" in shown
    require_only_results([shown])


def test_whom_a_signature_speaks_for_is_shown_where_it_passed() -> None:
    mail = Mail.of("user@evil.example")
    keys = both_keys("evil.example")
    (signed,) = [
        action.value
        for action in play(session_of("127.0.0.1", keys=keys), mail, ZONE).actions
        if isinstance(action, InsertHeader) and "rsa" in action.value
    ]
    good = Mail((("DKIM-Signature", signed), *mail.fields), mail.body)
    (shown,) = written(session_of("192.0.2.1"), good, ZONE, "x@other.example")
    assert "dkim=pass header.d=evil.example header.i=@evil.example header.s=r" in shown
    changed = Mail(good.fields, b"something else\r\n")
    (shown,) = written(session_of("192.0.2.1"), changed, ZONE, "x@other.example")
    assert "header.d=evil.example header.s=r" in shown
    assert "header.i" not in shown


@pytest.mark.parametrize(
    ("sender", "helo"),
    [
        (f"x@{AIM}", "client.example"),
        ("x@evil.example", "client.example"),
        ("x@broken.example", "client.example"),
        (f'"{AIM}"@evil.example', AIM),
        ("", AIM),
        ("", "broken.example"),
    ],
)
def test_the_envelope_and_its_records(sender: str, helo: str) -> None:
    session = session_of("192.0.2.1", SEALING, both_keys("forwarder.example"))
    session.helo(helo)
    require_only_results(written(session, Mail.of("ceo@bank.example"), ZONE, sender))


@pytest.mark.parametrize(
    "author",
    [f"{AIM} <ceo@bank.example>, {AIM}", f"ceo@{AIM}", AIM, f"<{AIM}> <ceo@bank.example>", "="],
)
def test_the_author(author: str) -> None:
    session = session_of("192.0.2.1", SEALING, both_keys("forwarder.example"))
    require_only_results(written(session, Mail.of(author), ZONE, "x@other.example"))


@pytest.mark.parametrize(
    "name", ["ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"]
)
def test_a_chain(name: str) -> None:
    mail = Mail.of(
        "ceo@bank.example",
        *((one, f" i=1; {AIM}; cv={AIM}; a={AIM}") for one in (name, "ARC-Seal")),
    )
    session = session_of("192.0.2.1", SEALING, both_keys("forwarder.example"))
    require_only_results(written(session, mail, ZONE, "x@other.example"))
