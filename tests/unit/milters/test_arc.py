"""Forwarded mail: sealed by us, and believed of those that are listed."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from milters.vouching import voucher
from msgauth.arc import ArcHop, ArcResult, ArcSealer, SealSpec
from msgauth.message import HeaderField
from msgauth.results import ArcStatus
from tests.unit.milters.mail import (
    NOW,
    Mail,
    apply,
    both_keys,
    key_zone,
    play,
    rsa_key,
    session_of,
    values,
)

ZONE = key_zone(
    "signer.example",
    "forwarder.example",
    extra="""
["_dmarc.signer.example"]
TXT = "v=DMARC1; p=reject"
""",
)
FORWARDER: Mapping[str, object] = {
    "authserv_id": "forwarder.example",
    "seal": {"domain": "forwarder.example"},
}
KEYS = both_keys("signer.example", "forwarder.example")


def forwarded() -> Mail:
    """Mail that was signed by its author and sealed by a forwarder."""
    mail = Mail.of()
    signed = apply(mail, play(session_of("127.0.0.1"), mail, ZONE))
    return apply(signed, play(session_of("192.0.2.1", FORWARDER, KEYS), signed, ZONE))


def test_mail_from_outside_is_sealed() -> None:
    sealed = forwarded()
    names = [name for name, _ in sealed.fields[:4]]
    assert names == [
        "ARC-Seal",
        "ARC-Message-Signature",
        "ARC-Authentication-Results",
        "Authentication-Results",
    ]
    (kept,) = values(sealed, "ARC-Authentication-Results")
    assert kept.startswith("i=1; forwarder.example;")
    assert "dmarc=pass" in kept
    outcome = play(session_of("192.0.2.9"), sealed, ZONE, sender=b"<x@forwarder.example>")
    assert ("arc", "pass") in outcome.results


def test_a_second_hand_seals_the_chain_of_the_first() -> None:
    sealed = forwarded()
    again = apply(sealed, play(session_of("192.0.2.9", FORWARDER, KEYS), sealed, ZONE))
    assert [value.split(";")[0] for value in values(again, "ARC-Seal")] == ["i=2", "i=1"]
    outcome = play(session_of("192.0.2.9"), again, ZONE)
    assert ("arc", "pass") in outcome.results


def test_our_own_mail_is_not_sealed() -> None:
    mail = Mail.of()
    outcome = play(session_of("127.0.0.1", FORWARDER, KEYS), mail, ZONE)
    assert not values(apply(mail, outcome), "ARC-Seal")
    assert outcome.seal == ""


def test_whether_it_is_sealed_is_told() -> None:
    sealed = forwarded()
    broken = Mail(sealed.fields, b"something else\r\n")
    closed = apply(broken, play(session_of("192.0.2.9", FORWARDER, KEYS), broken, ZONE))
    assert values(closed, "ARC-Seal")[0].startswith("i=2; a=rsa-sha256; cv=fail;")
    for mail, keys, zone, told in (
        (sealed, KEYS, ZONE, "sealed"),
        (broken, KEYS, ZONE, "sealed"),
        (closed, KEYS, ZONE, "chain-closed"),
        (sealed, KEYS, key_zone("signer.example", extra=DOWN), "unsealable"),
        # its record is not published, or the key is for another domain
        (sealed, both_keys("signer.example"), ZONE, "no-key"),
    ):
        outcome = play(session_of("192.0.2.9", FORWARDER, keys), mail, zone)
        assert outcome.seal == told
        added = len(values(apply(mail, outcome), "ARC-Seal")) - len(values(mail, "ARC-Seal"))
        assert added == (told == "sealed")
    assert play(session_of("192.0.2.9", {}, KEYS), sealed, ZONE).seal == ""
    strict: Mapping[str, object] = {**FORWARDER, "policy": {"preset": "strict"}}
    refused = play(session_of("192.0.2.9", strict, KEYS), broken, ZONE, sender=b"<a@b.example>")
    assert (refused.action, refused.seal) == ("reject", "")


def test_a_message_that_was_changed_behind_its_seal_fails() -> None:
    sealed = forwarded()
    changed = Mail(sealed.fields, b"something else\r\n")
    outcome = play(session_of("192.0.2.9"), changed, ZONE, sender=b"<x@forwarder.example>")
    assert ("arc", "fail") in outcome.results
    assert outcome.reason == "dmarc-fail-reject"


def result(*hops: tuple[str, str], status: ArcStatus = ArcStatus.PASS) -> ArcResult:
    return ArcResult(
        "arc",
        status,
        hops=tuple(
            ArcHop(n, domain, "s", f"mx.{domain}; {payload}")
            for n, (domain, payload) in enumerate(hops, 1)
        ),
    )


PASS = "dmarc=pass header.from=author.example"
FAIL = "dmarc=fail header.from=author.example"


@pytest.mark.parametrize(
    ("arc", "expected"),
    [
        (result(("list.example", PASS)), "list.example"),
        (result(("list.example", FAIL)), ""),
        (result(("other.example", PASS)), ""),
        (result(("list.example", PASS), status=ArcStatus.FAIL), ""),
        (result(("list.example", PASS), status=ArcStatus.TEMPERROR), ""),
        # the run of listed sealers at the end is what counts
        (result(("other.example", PASS), ("list.example", FAIL)), ""),
        (result(("other.example", FAIL), ("list.example", PASS)), "list.example"),
        (result(("list.example", PASS), ("other.example", PASS)), ""),
        (result(("list.example", PASS), ("relay.example", FAIL)), "list.example"),
        (result(("list.example", FAIL), ("relay.example", PASS)), ""),
        # another author, none, and what is no results at all
        (result(("list.example", "dmarc=pass header.from=evil.example")), ""),
        (result(("list.example", "dmarc=pass")), ""),
        (result(("list.example", "dkim=pass header.d=author.example")), ""),
        (result(("list.example", "((((")), ""),
        # all that is said of DMARC has to agree, in whatever order
        (result(("list.example", f"{FAIL}; {PASS}")), ""),
        (result(("list.example", f"{PASS}; {FAIL}")), ""),
        (result(("list.example", f"{PASS}; spf=pass; DMARC (x) = (y) FAIL")), ""),
        (result(("list.example", f"{PASS}; dmarc=none")), ""),
        (result(("list.example", f"{PASS}; dmarc=pass")), ""),
        (result(("list.example", f"{PASS}; dmarc=pass header.from=evil.example")), ""),
        (result(("list.example", f"{PASS}; dmarc/2=fail header.from=author.example")), ""),
        (result(("list.example", "dmarc/2=pass header.from=author.example")), ""),
        (result(("list.example", f"{PASS}; dmarc=bestguesspass header.from=author.example")), ""),
        (result(("list.example", f"{PASS} header.from=evil.example")), ""),
        (
            result(
                (
                    "list.example",
                    "dmarc=pass header.from=evil.example Header.(x)From=author.example",
                )
            ),
            "",
        ),
        (result(("list.example", f'{PASS} header.from="evil.example"')), ""),
        (
            result(
                ("list.example", "dmarc=pass (header.from=author.example) header.from=a.example")
            ),
            "",
        ),
        (result(("list.example", "dmarc=pass (header.from=author.example)")), ""),
        (result(("list.example", 'dmarc=pass reason="header.from=author.example"')), ""),
        (result(("list.example", "dmarc=pass smtp.from=author.example")), ""),
        (result(("list.example", "dmarc=pass header.from=sub.author.example")), ""),
        (result(("list.example", "dmarc=pass header.from=example")), ""),
        (result(("list.example", 'dmarc=pass header.from="author.example"@evil.example')), ""),
        (result(("list.example", "dmarc=pass header.from=user@author.example")), ""),
        (result(("list.example", "dmarc=passed header.from=author.example")), ""),
        (result(("list.example", 'dmarc="pass" header.from=author.example')), ""),
        # also where a ";" is missing
        (result(("list.example", f"spf=pass smtp.mailfrom=x {FAIL}; {PASS}")), ""),
        (result(("list.example", f"{PASS} dmarc=fail")), ""),
        # and to be read to its end
        (result(("list.example", f"{PASS}; dmarc=")), ""),
        (result(("list.example", f"{PASS}; none")), ""),
        (result(("list.example", f'{PASS}; spf=pass reason="')), ""),
        (result(("list.example", "; ".join(["spf=pass"] * 100 + [PASS]))), ""),
        (result(("list.example", PASS), ("relay.example", "((((")), ""),
        # of the chain before it a sealer says what its seal says
        (result(("list.example", f"arc=fail; {PASS}")), ""),
        (result(("list.example", f"arc=none; arc=fail; {PASS}")), ""),
        (result(("other.example", PASS), ("list.example", f"arc=none; {PASS}")), ""),
        (result(("other.example", PASS), ("list.example", f"arc/2=pass; {PASS}")), ""),
        (result(("list.example", PASS), ("relay.example", f"arc=fail; {FAIL}")), ""),
        # harmless forms of the same word
        (result(("list.example", f"arc=none; {PASS}; dkim=fail; dkim=pass")), "list.example"),
        (result(("list.example", f"{PASS}; {PASS}")), "list.example"),
        (result(("list.example", f"{PASS} header.from=AUTHOR.example.")), "list.example"),
        (
            result(("list.example", 'DMARC/1=Pass (p=none) Header.From="author.example"')),
            "list.example",
        ),
        (result(("other.example", FAIL), ("list.example", f"arc=pass; {PASS}")), "list.example"),
        (result(("list.example", PASS), ("relay.example", f"arc=pass; {FAIL}")), "list.example"),
        (None, ""),
    ],
)
def test_who_vouches(arc: ArcResult | None, expected: str) -> None:
    assert voucher(arc, ("list.example", "relay.example"), "author.example") == expected


@pytest.mark.parametrize(
    "payload",
    [
        # as Google and Microsoft write it
        "mx.google.com; dkim=pass header.i=@author.example header.s=s header.b=abc/+;"
        " arc=pass (i=1 spf=pass spfdomain=other.example dkim=pass dkdomain=other.example"
        " dmarc=fail fromdomain=other.example); spf=softfail (google.com: domain of transitioning"
        " a@other.example does not designate 192.0.2.1 as permitted sender)"
        " smtp.mailfrom=a@other.example; dmarc=pass (p=REJECT sp=REJECT dis=NONE)"
        " header.from=author.example",
        "mx.microsoft.com 1; spf=pass (sender ip is 192.0.2.1) smtp.rcpttodomain=b.example"
        " smtp.mailfrom=author.example; dmarc=pass (p=none sp=none pct=100) action=none"
        " header.from=author.example; dkim=none (message not signed); arc=pass (0 oda=1 ltdi=1"
        " spf=[1,1,smtp.mailfrom=author.example] dkim=[1,1,header.d=author.example])",
    ],
)
def test_results_of_large_hosts_are_read(payload: str) -> None:
    hops = (
        ArcHop(1, "other.example", "s", "mx.other.example; arc=none"),
        ArcHop(2, "list.example", "s", payload),
    )
    arc = ArcResult("arc", ArcStatus.PASS, hops=hops)
    assert voucher(arc, ("list.example",), "author.example") == "list.example"


def test_an_author_with_u_labels_is_found_in_either_form() -> None:
    for written in ("b\u00fccher.example", "xn--bcher-kva.example", "B\u00dcCHER.example"):
        arc = result(("list.example", f"dmarc=pass header.from={written}"))
        assert voucher(arc, ("list.example",), "xn--bcher-kva.example") == "list.example"


def test_nobody_vouches_for_no_author() -> None:
    assert voucher(result(("list.example", PASS)), ("list.example",), "") == ""


def test_a_listed_forwarder_overrides_a_dmarc_failure() -> None:
    listed: Mapping[str, object] = {"policy": {"trusted_sealers": ["forwarder.example"]}}
    sealed = forwarded()
    outcome = play(session_of("192.0.2.9", listed), sealed, GONE, sender=b"<x@other.example>")
    assert dict(outcome.results)["dkim"] == "permerror"
    assert outcome.facts["vouched_by"] == "forwarder.example"
    assert (outcome.action, outcome.facts["overlooked"]) == ("accept", "dmarc-fail-reject")
    unlisted = play(session_of("192.0.2.9"), sealed, GONE, sender=b"<x@other.example>")
    assert (unlisted.action, unlisted.reason) == ("quarantine", "dmarc-fail-reject")


def sealed_with(payload: str, author: str) -> Mail:
    """Mail that a forwarder sealed with these results, and that nothing else speaks for."""
    fields = [HeaderField(b"From", f" {author}".encode()), HeaderField(b"Subject", b" a test")]
    sealer = ArcSealer(SealSpec("forwarder.example", "r", rsa_key()), fields)
    sealer.body(b"Hello\r\n")
    seal = sealer.finish(NOW, ArcResult("arc", ArcStatus.NONE), payload)
    return Mail(
        tuple(
            (field.name.decode(), field.value.decode().replace("\r\n", "\n"))
            for field in (*seal, *fields)
        )
    )


def test_nobody_vouches_for_several_authors() -> None:
    # a sealer that looked at the first author alone
    sealed = sealed_with(
        "mx.forwarder.example; dmarc=pass header.from=signer.example",
        "user@signer.example, ceo@bank.example",
    )
    zone = key_zone("forwarder.example", extra='["_dmarc.bank.example"]\nTXT="v=DMARC1; p=reject"')
    listed: Mapping[str, object] = {"policy": {"trusted_sealers": ["forwarder.example"]}}
    outcome = play(session_of("192.0.2.9", listed), sealed, zone, sender=b"<x@other.example>")
    assert dict(outcome.results)["arc"] == "pass"
    assert (outcome.action, outcome.reason) == ("quarantine", "dmarc-fail-reject")


@pytest.mark.parametrize(
    ("payload", "action"),
    [
        ("mx; dmarc=pass header.from=signer.example", "accept"),
        ("mx; dmarc=fail header.from=signer.example; dmarc=pass header.from=signer.example", ""),
        ("mx; dmarc=pass header.from=signer.example; dmarc=fail header.from=signer.example", ""),
        ("mx; dmarc=pass header.from=other.example header.from=signer.example", ""),
    ],
)
def test_a_listed_sealer_that_contradicts_itself_overrides_nothing(
    payload: str, action: str
) -> None:
    listed: Mapping[str, object] = {"policy": {"trusted_sealers": ["forwarder.example"]}}
    sealed = sealed_with(payload, "user@signer.example")
    outcome = play(session_of("192.0.2.9", listed), sealed, GONE, sender=b"<x@other.example>")
    assert dict(outcome.results)["arc"] == "pass"
    assert outcome.action == (action or "quarantine")


DOWN = """
["r._domainkey.forwarder.example"]
rcode = "tempfail"
"""

# the author has taken the key away since the forwarder saw the message
GONE = key_zone(
    "forwarder.example",
    extra="""
["_dmarc.signer.example"]
TXT = "v=DMARC1; p=reject"
""",
)
