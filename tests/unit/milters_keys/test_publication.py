from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.dns import Zone
from milters.keys.publication import (
    MISSES,
    Publication,
    RecordStatus,
    Standing,
    judge,
    look_up,
    stand,
)
from msgauth.ask import NXDOMAIN, TEMPFAIL, Answer, Rcode
from msgauth.drive import solve
from msgauth.keys import SigningKey
from tests.unit.milters_keys.pems import pem, record

KEY = SigningKey.parse(pem())
RSA = SigningKey.parse(pem("rsa"))
PUBLIC = record().partition("p=")[2]


def seen(*records: str) -> Publication:
    return judge(KEY, Answer(Rcode.OK, records))


@pytest.mark.parametrize(
    "text",
    [
        record(),
        f"k=ed25519; p={PUBLIC}",
        f"v=DKIM1;k=ed25519;h=sha1:sha256;s=email;p={PUBLIC[:9]} {PUBLIC[9:]};",
        f"v=DKIM1; k=ed25519; s=*; t=s; n=a note; p={PUBLIC}",
    ],
    ids=["plain", "no version", "blanks and lists", "flags and notes"],
)
def test_records_that_fit(text: str) -> None:
    assert seen(text) == Publication(RecordStatus.PUBLISHED)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (record(number=1), "different private key"),
        (record("rsa"), "the record is for rsa but the key is ed25519"),
        (f"v=DKIM1; k=ed25519; h=sha1; p={PUBLIC}", "does not allow sha256"),
        (f"v=DKIM1; k=ed25519; s=tlsrpt; p={PUBLIC}", "does not allow email"),
        (f"v=DKIM2; k=ed25519; p={PUBLIC}", "not a DKIM1 key record"),
        ("v=spf1 -all", "v=spf1 -all"),
        (record()[:60], "v=DKIM1; k=ed25519"),
        ("", "''"),
    ],
    ids=["key", "type", "hash", "service", "version", "spf", "cut", "empty"],
)
def test_records_with_which_signatures_would_fail(text: str, reason: str) -> None:
    publication = seen(text)
    assert publication.seen is RecordStatus.DIFFERENT
    assert reason in publication.reason


def test_no_record_and_no_answer_are_two_things() -> None:
    assert judge(KEY, NXDOMAIN).seen is RecordStatus.MISSING
    assert seen().seen is RecordStatus.MISSING
    assert judge(KEY, TEMPFAIL).seen is RecordStatus.UNKNOWN


def test_a_revoked_key() -> None:
    assert seen("v=DKIM1; k=ed25519; p=").seen is RecordStatus.REVOKED


def test_several_records_are_odd() -> None:
    publication = seen("google-site-verification=x", record())
    assert publication.seen is RecordStatus.PUBLISHED
    assert "2 TXT records" in publication.note
    assert seen("x=y", record("rsa")).seen is RecordStatus.DIFFERENT


def test_the_testing_flag_is_told() -> None:
    publication = seen(f"v=DKIM1; k=ed25519; t=y; p={PUBLIC}")
    assert publication.seen is RecordStatus.PUBLISHED
    assert "t=y" in publication.note


@given(st.lists(st.text(alphabet=st.characters(max_codepoint=255), max_size=100), max_size=4))
def test_any_record_is_judged(texts: list[str]) -> None:
    assert seen(*texts).seen is not RecordStatus.PUBLISHED


def test_rsa_in_the_form_of_rfc_6376_and_across_strings() -> None:
    zone = Zone.parse(f'["s1._domainkey.example.org"]\nTXT = "{record("rsa")}"')
    assert solve(look_up("example.org", "s1", RSA), zone.resolve).seen is RecordStatus.PUBLISHED
    assert solve(look_up("example.org", "s2", RSA), zone.resolve).seen is RecordStatus.MISSING


PUBLISHED = Publication(RecordStatus.PUBLISHED)
MISSING = Publication(RecordStatus.MISSING, "there is no TXT record")
DIFFERENT = Publication(RecordStatus.DIFFERENT, "another")
REVOKED = Publication(RecordStatus.REVOKED, "empty p=")
UNKNOWN = Publication(RecordStatus.UNKNOWN, "DNS does not answer")


def after(*looks: Publication, was_activated: bool = False) -> Standing:
    standing: Standing | None = None
    for found in looks:
        standing = stand(standing, found, was_activated=was_activated)
    assert standing is not None
    return standing


@pytest.mark.parametrize(
    ("looks", "may_sign"),
    [
        ([PUBLISHED], True),
        ([MISSING], False),
        ([DIFFERENT], False),
        ([REVOKED], False),
        ([UNKNOWN], False),
        # DNS that fails never stops a key that was seen, however long
        ([PUBLISHED] + [UNKNOWN] * 10, True),
        # and never starts one that was seen missing
        ([MISSING] + [UNKNOWN] * 10, False),
        ([MISSING, PUBLISHED], True),
        ([UNKNOWN, PUBLISHED], True),
        ([UNKNOWN, MISSING], False),
        # a record that was there gets a second look
        ([PUBLISHED, MISSING], True),
        ([PUBLISHED, MISSING, MISSING], False),
        ([PUBLISHED, MISSING, UNKNOWN, MISSING], False),
        ([PUBLISHED, MISSING, PUBLISHED, MISSING], True),
        ([PUBLISHED, DIFFERENT, MISSING], False),
        # unless it says that it is over
        ([PUBLISHED, REVOKED], False),
    ],
)
def test_standing(looks: list[Publication], may_sign: bool) -> None:
    assert after(*looks).may_sign is may_sign


@pytest.mark.parametrize(
    ("looks", "may_sign"),
    [
        ([UNKNOWN], True),
        ([UNKNOWN, UNKNOWN], True),
        ([MISSING], False),
        ([UNKNOWN, MISSING], False),
        ([MISSING, UNKNOWN], False),
    ],
)
def test_a_key_that_was_activated_signs_while_nothing_is_known(
    looks: list[Publication], may_sign: bool
) -> None:
    assert after(*looks, was_activated=True).may_sign is may_sign


def test_only_what_is_fine_is_not_looked_at_again_soon() -> None:
    assert after(PUBLISHED).next_look is None
    for found in (MISSING, DIFFERENT, REVOKED, UNKNOWN):
        again = after(PUBLISHED, found).next_look
        assert again is not None
        assert 0 < again <= 60


looks = st.sampled_from([PUBLISHED, MISSING, DIFFERENT, REVOKED, UNKNOWN])


@given(st.lists(looks, min_size=1), st.booleans())
def test_the_invariants_of_the_gate(history: list[Publication], was_activated: bool) -> None:
    known = [found for found in history if found is not UNKNOWN]
    standing = after(*history, was_activated=was_activated)
    if not known:
        assert standing.may_sign is was_activated
    elif known[-1] is PUBLISHED:
        assert standing.may_sign
    elif REVOKED in known[-1:] or PUBLISHED not in known or PUBLISHED not in known[-MISSES:]:
        assert not standing.may_sign
