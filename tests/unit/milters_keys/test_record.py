from __future__ import annotations

import re

import dns.rdtypes.ANY.TXT
import dns.zone
import pytest
from hypothesis import given
from hypothesis import strategies as st

from milters.keys.record import CHARACTER_STRING, present, revoked_record, split
from tests.unit.milters_keys.pems import record

NAME = "202611r._domainkey.example.org"


@given(st.text(alphabet="abc=;+/ ", max_size=2000))
def test_split_strings_join_to_the_text(text: str) -> None:
    parts = split(text)
    assert "".join(parts) == text
    assert all(len(part) <= CHARACTER_STRING for part in parts)


@pytest.mark.parametrize("bits", [1024, 2048])
def test_a_zone_file_takes_the_bind_form(bits: int) -> None:
    text = record("rsa", bits=bits)
    head = "$ORIGIN example.org.\n@ 3600 IN SOA ns admin 1 2 3 4 5\n@ 3600 IN NS ns\n"
    zone = dns.zone.from_text(head + present(NAME, text, "bind") + "\n", check_origin=False)
    (rdata,) = zone.find_rdataset("202611r._domainkey", "TXT")
    assert isinstance(rdata, dns.rdtypes.ANY.TXT.TXT)
    assert b"".join(rdata.strings).decode() == text


def test_line_is_the_bare_value() -> None:
    assert present(NAME, record("rsa"), "line") == record("rsa")


def test_split_is_quoted_strings() -> None:
    text = present(NAME, record("rsa", bits=2048), "split")
    parts = re.findall(r'"([^"]*)"', text)
    assert len(parts) == 2
    assert "".join(parts) == record("rsa", bits=2048)


def test_a_revoked_record_has_an_empty_p() -> None:
    assert revoked_record("rsa") == "v=DKIM1; k=rsa; p="
