"""Results of authentication that a scanner is told."""

from __future__ import annotations

import pytest

from delivery.known_results import known_field, own_results
from msgauth.authres import format_field
from msgauth.message import HeaderField
from msgauth.results import ArcStatus, DkimStatus, DmarcStatus, Finding, Property, SpfStatus

OURS = "mx.example.org"


def field(value: str) -> HeaderField:
    return HeaderField(b"Authentication-Results", f" {value}".encode())


def told(*values: str) -> str:
    return known_field(own_results([*map(field, values)], (OURS,)), OURS).decode()


def test_what_our_milter_writes_is_copied_as_far_as_it_is_known() -> None:
    ours = format_field(
        OURS,
        [
            Finding("arc", ArcStatus.TEMPERROR),
            Finding("spf", SpfStatus.PASS, "x (y)", (Property("smtp", "mailfrom", "example.com"),)),
            Finding(
                "dkim",
                DkimStatus.FAIL,
                properties=(
                    Property("header", "i", 'a";x@example.com'),
                    Property("header", "d", "example.com"),
                ),
            ),
            Finding("dmarc", DmarcStatus.PASS, "", (Property("header", "from", "example.com"),)),
        ],
    )
    copied = known_field(own_results([ours], (OURS,)), OURS).decode()
    assert " ".join(copied.split()) == (
        "Authentication-Results: mx.example.org; spf=pass smtp.mailfrom=example.com; "
        "dkim=fail header.d=example.com; dmarc=pass header.from=example.com"
    )


@pytest.mark.parametrize(
    "unknown", ["arc=temperror", "x-new=pass", "dkim=great", "dmarc/2=pass", "auth=pass"]
)
def test_an_unknown_word_does_not_blind_the_scanner(unknown: str) -> None:
    copied = told(f"{OURS}; {unknown}; spf=fail smtp.mailfrom=a.example")
    assert unknown not in copied
    assert "spf=fail" in copied


@pytest.mark.parametrize(
    "values",
    [
        (),
        ("mx.example.com; dmarc=pass",),
        ("other; x=y (mx.example.org; dmarc=pass)",),
        (f"{OURS}; none",),
        (f"{OURS}; arc=temperror",),
        (f"{OURS}; dmarc=pass; (",),
        (f"{OURS} 2; dmarc=pass",),
    ],
)
def test_what_is_not_ours_or_unreadable_says_nothing(values: tuple[str, ...]) -> None:
    assert told(*values) == ""


def test_the_topmost_of_our_fields_counts() -> None:
    copied = told("other; dmarc=pass", f"{OURS}; dmarc=fail", f"{OURS}; dmarc=pass")
    assert "dmarc=fail" in copied
    assert "pass" not in copied
