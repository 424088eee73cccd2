"""Which signatures a message gets."""

from collections.abc import Sequence

import pytest

from milters.key_table import DomainKey
from milters.settings import MiltersSettings
from milters.signed_headers import header_policy
from milters.signing import Signing
from msgauth.dkim import DEFAULT_HEADERS
from msgauth.errors import MsgauthError
from msgauth.mail_address import MailAddress
from tests.unit.milters.mail import Keys, both_keys, ed25519_key, rsa_key

KEYS = both_keys("example.org", "mail.example.org", "example.net")


def signatures(author: str, recipients: tuple[str, ...] = (), **sign: object) -> list[str]:
    signing = Signing(MiltersSettings.model_validate({"sign": sign}), KEYS)
    domains = [MailAddress.parse(recipient).domain for recipient in recipients]
    specs = signing.specs(MailAddress.parse(f"user@{author}"), domains)
    return [f"{spec.selector}@{spec.domain}" for spec in specs]


@pytest.mark.parametrize(
    ("author", "domain"),
    [
        ("example.org", "example.org"),
        ("mail.example.org", "mail.example.org"),
        ("a.b.mail.example.org", "mail.example.org"),
        ("lists.example.org", "example.org"),
    ],
)
def test_the_longest_domain_with_a_key_signs(author: str, domain: str) -> None:
    assert signatures(author) == [f"r@{domain}", f"e@{domain}"]


@pytest.mark.parametrize("author", ["org", "notexample.org", "example.org.evil.example"])
def test_no_key_no_signature(author: str) -> None:
    assert signatures(author) == []


def test_unaligned_only_when_asked_for() -> None:
    assert signatures("other.example", unaligned_domain="example.net") == [
        "r@example.net",
        "e@example.net",
    ]
    assert signatures("example.org", unaligned_domain="example.net") == [
        "r@example.org",
        "e@example.org",
    ]


def test_what_a_table_says_of_an_author_comes_first() -> None:
    key = KEYS.domains["example.net"][0]
    keys = Keys(KEYS.domains, {"a@example.org": [key], "b@example.org": []})
    signing = Signing(MiltersSettings(), keys)
    for address, found in (("a", ["example.net"]), ("b", []), ("c", ["example.org"] * 2)):
        author = MailAddress.parse(f"{address}@example.org")
        assert [spec.domain for spec in signing.specs(author, ())] == found


def test_a_key_that_stops_signing_is_not_remembered() -> None:
    domains = dict(KEYS.domains)
    signing = Signing(MiltersSettings(), Keys(domains))
    author = MailAddress.parse("a@example.net")
    assert len(signing.specs(author, ())) == 2
    domains["example.net"] = domains["example.net"][1:]
    assert [spec.selector for spec in signing.specs(author, ())] == ["e"]
    del domains["example.net"]
    assert signing.specs(author, ()) == ()


def test_algorithms_and_selectors() -> None:
    assert signatures("example.org", algorithms=["rsa-sha256"]) == ["r@example.org"]
    domains = {"example.org": {"selectors": ["e"]}, "example.net": {"algorithms": ["rsa-sha256"]}}
    assert signatures("example.org", domains=domains) == ["e@example.org"]
    assert signatures("example.net", domains=domains) == ["r@example.net"]
    assert len(signatures("mail.example.org", domains=domains)) == 2


def test_recipients_that_stumble_over_ed25519() -> None:
    spared = ["old.example"]
    both = ("a@new.example", "b@mx.old.example")
    assert signatures("example.org", both, no_ed25519_to=spared) == ["r@example.org"]
    assert len(signatures("example.org", ("a@notold.example",), no_ed25519_to=spared)) == 2


def test_canonicalization_and_expiry_of_a_domain() -> None:
    settings = MiltersSettings.model_validate(
        {
            "sign": {
                "expiry": "7d",
                "domains": {"example.net": {"canonicalization": "simple/simple", "expiry": "1d"}},
            }
        }
    )
    signing = Signing(settings, KEYS)
    (spec, _) = signing.specs(MailAddress.parse("a@example.org"), ())
    (other, _) = signing.specs(MailAddress.parse("a@example.net"), ())
    assert (str(spec.canonicalization), spec.ttl) == ("relaxed/relaxed", 7 * 86400)
    assert (str(other.canonicalization), other.ttl) == ("simple/simple", 86400)


def test_header_fields_that_are_signed_besides_the_usual() -> None:
    assert header_policy((), ()) is DEFAULT_HEADERS
    policy = header_policy(["Date", "X-Mine"], ["X-Other", "Subject"])
    assert {"Date", "X-Mine", *DEFAULT_HEADERS.always} == set(policy.always)
    assert "Date" not in policy.present
    assert "X-Other" in policy.plain
    with pytest.raises(MsgauthError):
        header_policy(["Received"], [])


@pytest.mark.parametrize(
    ("selectors", "wanted", "seals"),
    [
        (("e", "r", "r2"), None, "r"),  # RFC 8617 section 4.1.3 knows RSA alone
        (("e", "r", "r2"), "r2", "r2"),
        (("e", "r", "r2"), "e", None),
        (("e", "r"), "r2", None),
        (("e",), None, None),
        ((), None, None),
    ],
)
def test_which_key_seals(selectors: Sequence[str], wanted: str | None, seals: str | None) -> None:
    domain = "example.net"
    keys = [
        DomainKey(domain, selector, ed25519_key() if selector == "e" else rsa_key())
        for selector in selectors
    ]
    settings = MiltersSettings.model_validate({"seal": {"domain": domain, "selector": wanted}})
    spec = Signing(settings, Keys({domain: keys})).seal_spec()
    assert (spec.selector if spec else None) == seals
