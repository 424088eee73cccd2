"""Mail from outside that a redirect brings back as mail of ours: it is not signed as ours."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from gatepost.dns import Zone
from milters.marks import Marks, read_marks
from milters.outcome import MessageOutcome
from msgauth.authres import parse
from msgauth.message import HeaderField
from tests.unit.milters.mail import (
    HOSTNAME,
    Mail,
    apply,
    both_keys,
    key_zone,
    play,
    session_of,
    values,
)

ZONE = key_zone(
    "signer.example",
    extra="""
["signer.example"]
TXT = "v=spf1 ip4:192.0.2.1 -all"
["_dmarc.signer.example"]
TXT = "v=DMARC1; p=reject"
""",
)
ATTACKER = "192.0.2.5"
SEALING: Mapping[str, object] = {"seal": {"domain": "signer.example"}}
TRACE = ("Received", " from attacker.example by mx.receiver.example")


def arrived(
    client: str = ATTACKER,
    settings: Mapping[str, object] | None = None,
    zone: Zone = ZONE,
    author: str = "boss@signer.example",
) -> Mail:
    """A message as it is delivered, with our fields on top."""
    mail = Mail.of(author, TRACE)
    outcome = play(session_of(client, settings), mail, zone)
    # what the delivery adds
    delivered = apply(mail, outcome)
    return Mail((("Delivered-To", " fwd@receiver.example"), *delivered.fields), delivered.body)


def redirect(
    mail: Mail,
    settings: Mapping[str, object] | None = None,
    *,
    client: str | None = None,
    login: str = "",
    zone: Zone = ZONE,
) -> tuple[MessageOutcome, Mail]:
    """The message once more, handed in on this machine unless there is a client."""
    outcome = play(session_of(client, settings), mail, zone, sender=b"<fwd@b.example>", login=login)
    return outcome, apply(mail, outcome)


def test_a_forgery_leaves_unsigned_and_marked() -> None:
    forged = arrived()
    assert values(forged, "X-Gatepost-Verdict") == ["quarantine; reason=dmarc-fail-reject"]
    outcome, sent = redirect(forged)
    assert (outcome.action, outcome.unsigned, outcome.signatures) == ("accept", "from-outside", ())
    assert not values(sent, "DKIM-Signature")
    assert values(sent, "X-Gatepost-Verdict") == ["quarantine; reason=dmarc-fail-reject"]
    (kept,) = values(sent, "Authentication-Results")
    assert kept == (
        f"{HOSTNAME}; dmarc=fail"
        ' reason="found when the message arrived from outside" header.from=signer.example'
        " policy.dmarc=reject"
    )
    assert outcome.forged == 0
    assert outcome.facts["dmarc"] == ["fail found when the message arrived from outside"]
    assert outcome.seal == ""


@pytest.mark.parametrize("client", [None, "127.0.0.1"])
@pytest.mark.parametrize("login", ["", "user"])
def test_however_often_it_comes_back(client: str | None, login: str) -> None:
    mail = arrived()
    for _ in range(3):
        outcome, mail = redirect(mail, client=client, login=login)
        assert outcome.unsigned == "from-outside"
        assert len(values(mail, "Authentication-Results")) == 1
        assert len(values(mail, "X-Gatepost-Verdict")) == 1
        assert not values(mail, "DKIM-Signature")
    # and in from outside again
    outcome, mail = redirect(mail, client=ATTACKER)
    assert (outcome.action, outcome.reason) == ("quarantine", "dmarc-fail-reject")
    assert len(values(mail, "Authentication-Results")) == 1


SILENT = key_zone("signer.example", extra='["_dmarc.signer.example"]\nrcode = "tempfail"\n')


@pytest.mark.parametrize(
    ("zone", "settings", "status"),
    [
        (SILENT, {}, "temperror"),
        (key_zone("signer.example"), {}, "none"),
        (ZONE, {"policy": {"preset": "report"}}, "fail"),
        (ZONE, {"verify": {"dmarc": False}}, ""),
        (ZONE, {"verify": dict.fromkeys(("dmarc", "spf", "dkim", "arc", "iprev"), False)}, ""),
    ],
)
def test_only_a_pass_is_signed(zone: Zone, settings: Mapping[str, object], status: str) -> None:
    mail = arrived(settings=settings, zone=zone)
    assert not values(mail, "X-Gatepost-Verdict")
    for _ in range(2):
        outcome, mail = redirect(mail, settings)
        assert (outcome.unsigned, outcome.signatures) == ("from-outside", ())
        (kept,) = values(mail, "Authentication-Results")
        assert [one.result for one in parse(kept).results] == ([status] if status else [])


def test_what_was_verified_to_be_ours_is_signed() -> None:
    mail = arrived(client="192.0.2.1")
    outcome, sent = redirect(mail)
    assert (outcome.unsigned, len(outcome.signatures)) == ("", 2)
    assert not values(sent, "Authentication-Results")


def test_mail_of_others_is_redirected_as_ever() -> None:
    zone = Zone.parse(
        '["other.example"]\nTXT = "v=spf1 ip4:192.0.2.5 -all"\n'
        '["_dmarc.other.example"]\nTXT = "v=DMARC1; p=reject"\n'
    )
    mail = Mail.of("a@other.example", TRACE)
    outcome = play(session_of(ATTACKER), mail, zone, sender=b"<a@other.example>")
    outcome, sent = redirect(apply(mail, outcome), {"sign": {"required": True}})
    assert (outcome.action, outcome.unsigned) == ("accept", "no-key")
    assert not values(sent, "Authentication-Results")


def test_what_has_to_be_signed_does_not_hold_back_a_redirect() -> None:
    outcome, _ = redirect(arrived(), {"sign": {"required": True}})
    assert (outcome.action, outcome.unsigned) == ("accept", "from-outside")


def test_no_signature_of_another_domain_either() -> None:
    outcome, sent = redirect(
        arrived(author="boss@bank.example"), {"sign": {"unaligned_domain": "signer.example"}}
    )
    assert outcome.unsigned == "from-outside"
    assert not values(sent, "DKIM-Signature")


def test_it_is_not_called_unsigned_where_nothing_is_signed() -> None:
    outcome, sent = redirect(arrived(), {"sign": {"internal": False}})
    assert outcome.unsigned == ""
    assert values(sent, "X-Gatepost-Verdict")


# Sealing
def test_a_forgery_is_sealed_with_what_was_found() -> None:
    outcome, sent = redirect(arrived(), SEALING)
    assert (outcome.unsigned, outcome.seal) == ("from-outside", "sealed")
    (kept,) = values(sent, "ARC-Authentication-Results")
    assert kept.startswith(f"i=1; {HOSTNAME}; arc=none; dmarc=fail ")
    assert "header.from=signer.example" in kept
    again = play(session_of("192.0.2.9"), sent, ZONE, sender=b"<fwd@b.example>")
    assert ("arc", "pass") in again.results
    assert ("dmarc", "fail") in again.results


def test_our_seal_is_made_once() -> None:
    mail = arrived(settings=SEALING)
    for _ in range(2):
        outcome, mail = redirect(mail, SEALING)
        assert (outcome.unsigned, outcome.seal) == ("from-outside", "already-sealed")
        assert len(values(mail, "ARC-Seal")) == 1
        assert len(values(mail, "Authentication-Results")) == 1
    changed = Mail(mail.fields, b"something else\r\n")
    outcome, sent = redirect(changed, SEALING)
    assert outcome.seal == "sealed"
    assert values(sent, "ARC-Seal")[0].startswith("i=2; a=rsa-sha256; cv=fail;")


def test_why_it_is_not_sealed() -> None:
    other: Mapping[str, object] = {"seal": {"domain": "forwarder.example"}}
    assert redirect(arrived(), other)[0].seal == "no-key"
    down = key_zone(extra='["r._domainkey.signer.example"]\nrcode = "tempfail"\n')
    mail = arrived(settings=SEALING)
    assert redirect(mail, SEALING, zone=down)[0].seal == "unsealable"


def test_a_client_cannot_have_a_pass_sealed_or_kept() -> None:
    claim = f" {HOSTNAME}; dkim=pass header.d=bank.example; dmarc=pass header.from=bank.example"
    mail = Mail.of("ceo@bank.example", ("Authentication-Results", claim))
    outcome, sent = redirect(mail, SEALING)
    assert outcome.seal == ""
    assert not values(sent, "Authentication-Results")
    mixed = Mail.of(
        "ceo@bank.example",
        ("Authentication-Results", f"{claim}; dmarc=fail header.from=bank.example"),
        ("X-Gatepost-Verdict", " tag; reason=x\n Evil: dmarc=pass"),
    )
    outcome, sent = redirect(mixed, SEALING)
    assert outcome.seal == "sealed"
    for name in ("Authentication-Results", "ARC-Authentication-Results"):
        (kept,) = values(sent, name)
        assert "pass" not in kept
    assert not values(sent, "X-Gatepost-Verdict")


# Which fields are marks
def field(value: str, name: str = "Authentication-Results") -> HeaderField:
    return HeaderField(name.encode(), f" {value}".encode())


def marks(*fields: HeaderField, author: str = "a.example") -> Marks:
    return read_marks(fields, {"mx.example", "mx2.example"}, author)


GOOD = "mx.example; dmarc=pass header.from=a.example"
BAD = "mx.example; dmarc=fail header.from=a.example policy.dmarc=reject"


@pytest.mark.parametrize(
    "value",
    [
        "other.example; dmarc=fail header.from=a.example",
        "mx.example.org; dmarc=fail header.from=a.example",
        "dmarc=fail header.from=a.example",  # of a mail server inside that writes no name
        "spf=fail (sender IP is 192.0.2.1); dmarc=none action=none header.from=a.example",
        "other.example; x=y (mx.example; dmarc=fail)",
        # we write what DMARC found into each field
        "mx.example; x=pass",
        "mx.example; none",
        "mx.example",
        "",
    ],
)
def test_what_is_no_mark(value: str) -> None:
    assert marks(field(value)) == Marks()
    assert marks(field(BAD, "X-Authentication-Results")) == Marks()
    for verdict in ("", "tag", "accept; reason=x", "tag; reason=x y", "quarantine; reason="):
        assert marks(field(verdict, "X-Gatepost-Verdict")) == Marks()


@pytest.mark.parametrize(
    "value",
    [
        BAD,
        BAD.upper(),
        BAD.replace("mx.", "mx2."),
        '"mx.example" 1 (x); dmarc=none header.from=a.example',
        "mx.example; dmarc=pass",
        "mx.example; dmarc=pass header.from=b.example",
        "mx.example; dmarc=pass header.from=sub.a.example",
        f"{GOOD}; dmarc=fail header.from=a.example",
        f"{GOOD} header.from=b.example",
        f"{GOOD}; dmarc/2=fail",
        "mx.example; dmarc=bestguesspass header.from=a.example",
        "mx.example; ((((",
        "mx.example; " + "; ".join(["dkim=fail"] * 100) + "; dmarc=fail header.from=a.example",
        "mx.example; dkim=fail (" + "x" * 70000 + "); dmarc=pass header.from=a.example",
    ],
)
def test_what_is_a_bad_mark(value: str) -> None:
    for others in ((), (field(GOOD),)):
        for fields in ((field(value), *others), (*others, field(value))):
            found = marks(*fields)
            assert found.are_bad
            assert found.dmarc is not None
            assert found.dmarc.status != "pass"


def test_a_good_mark() -> None:
    assert marks(field(GOOD)) == Marks(1, True)
    assert marks(field(GOOD), field(GOOD), field("x.example; dmarc=fail")) == Marks(2, True)
    assert marks(field(GOOD), author="").are_bad
    assert marks(field(GOOD), author="b.example").are_bad
    assert marks(field(GOOD), field("tag; reason=iprev-fail", "X-Gatepost-Verdict")).is_verified


def test_the_verdict_alone_is_a_mark() -> None:
    verdicts = [
        field(value, "x-gatepost-VERDICT")
        for value in ("tag; reason=spf-fail", "quarantine; reason=dmarc-permerror")
    ]
    found = marks(*verdicts)
    assert (found.are_bad, found.dmarc) == (True, None)
    assert found.verdict == "quarantine; reason=dmarc-permerror"
    contradiction = marks(field(GOOD), *verdicts)
    assert contradiction.are_bad


def test_only_the_topmost_fields_are_read() -> None:
    # ours is on top: nobody outside can have put fields with our name above it
    ours = [field(BAD), *[field(GOOD)] * 20_000]
    assert marks(*ours).count == 10
    assert marks(*ours).are_bad


def test_several_authors_are_not_verified_by_a_result_for_one() -> None:
    mail = Mail.of(
        "a@signer.example, b@other.example",
        ("Authentication-Results", f" {HOSTNAME}; dmarc=pass header.from=signer.example"),
    )
    outcome = play(session_of(None, {}, both_keys("signer.example", "other.example")), mail, ZONE)
    assert (outcome.unsigned, outcome.signatures) == ("from-outside", ())
