"""The grammar of policy records (RFC 9989 sections 4.7 and 4.8)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msgauth.dmarc.record import MAX_URIS, DmarcRecord, Policy, is_record, parse


@pytest.mark.parametrize(
    "text",
    [
        "v=DMARC1",
        "v=DMARC1;",
        "v=DMARC1; p=none",
        "v = DMARC1 ;p=none",
        "V=DMARC1;p=none",
        "v\t=\tDMARC1\t",
    ],
)
def test_a_record_is_known_by_its_first_tag(text: str) -> None:
    assert is_record(text)


@pytest.mark.parametrize(
    "text",
    ["", "p=none; v=DMARC1", "v=dmarc1; p=none", "v=DMARC2", "v=DMARC1 p=none", " v=DMARC1", "x"],
)
def test_what_begins_otherwise_is_ignored(text: str) -> None:
    assert not is_record(text)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("p=reject", {"p": Policy.REJECT}),
        ("P=Reject", {"p": Policy.REJECT}),
        ("p = quarantine ; sp=none", {"p": Policy.QUARANTINE, "sp": Policy.NONE}),
        ("p=none; np=reject; psd=Y", {"np": Policy.REJECT, "psd": "y"}),
        ("p=none; psd=n", {"psd": "n"}),
        ("p=none; psd=yn", {"psd": "u"}),
        ("p=none; adkim=s; aspf=r", {"strict_dkim": True}),
        ("p=none; adkim=strict; aspf=s", {"strict_spf": True}),
        ("p=none; t=y", {"testing": True}),
        ("p=none; t=yes", {}),
        ("p=reject; p=none", {"p": Policy.REJECT}),
        # pct, rf and ri are history, other tags are unknown
        ("p=reject; pct=0; rf=afrf; ri=86400; x-y=1; =;;;foo", {"p": Policy.REJECT}),
        # broken tags are ignored alone
        ("p=reject; adkim=\x80s; ä=1; sp", {"p": Policy.REJECT}),
        ("p=reject; sp=", {"usable": False}),
        ("p=reject; np=most", {"usable": False}),
        ("", {"usable": False}),
        ("rua=mailto:a@b.example", {"rua": ("mailto:a@b.example",)}),
        ("p=refuse; np=none; rua=https://b.example/x", {"rua": ("https://b.example/x",)}),
        (
            "p=none; rua = mailto:a@b.example!10m , ,b@c.example,mailto:nobody, "
            "mailto:d%2Ce@f.example!5",
            {"rua": ("mailto:a@b.example", "mailto:d%2Ce@f.example")},
        ),
        ("p=none; rua=mailto:a@b.example!x", {}),
        ("p=none; fo=1:d", {}),
        ("p=none; fo=1:d; ruf=mailto:a@b", {"fo": frozenset("1d"), "ruf": ("mailto:a@b",)}),
        ("p=none; fo=S : D; ruf=mailto:a@b", {"fo": frozenset("sd"), "ruf": ("mailto:a@b",)}),
        ("p=none; fo=0:1; ruf=mailto:a@b", {"ruf": ("mailto:a@b",)}),
        ("p=none; fo=d:d; ruf=mailto:a@b", {"ruf": ("mailto:a@b",)}),
        ("p=none; fo=x; ruf=mailto:a@b", {"ruf": ("mailto:a@b",)}),
    ],
)
def test_tags(tags: str, expected: dict[str, Any]) -> None:
    assert parse(f"v=DMARC1; {tags}") == DmarcRecord(**expected)


def test_addresses_are_bounded_in_number() -> None:
    record = parse("v=DMARC1; p=none; rua=" + ",".join(["mailto:a@b.example"] * 100))
    assert len(record.rua) == MAX_URIS


@pytest.mark.parametrize("text", [" " * 60000, "a=" * 30000, "rua=" + "!1" * 30000, ";" * 60000])
def test_a_record_of_60_kilobytes_is_read_from_its_beginning(text: str) -> None:
    assert parse(f"v=DMARC1; p=reject;{text}").p is Policy.REJECT


@given(st.text(max_size=200) | st.text("psnadkimrufo=;: ,!@yst01rejc", max_size=80))
def test_any_text_is_read(rest: str) -> None:
    text = f"v=DMARC1;{rest}"
    assert is_record(text)
    record = parse(text)
    assert record.psd in ("y", "n", "u")
    assert all(uri.isascii() and "," not in uri and "!" not in uri for uri in record.rua)


def test_under_test_each_policy_goes_down_one_level() -> None:
    assert [policy.one_level_down() for policy in Policy] == ["none", "none", "quarantine"]
