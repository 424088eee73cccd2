"""Wishes are read within bounds, and become records."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.unit.accounts.dnscheck.wished import expectations


@pytest.mark.parametrize(
    "change",
    [
        {"hosts": []},
        {"hosts": [{"name": "a b"}]},
        {"hosts": [{"name": "mx.example.org", "addresses": ["192.0.2.1/24"]}]},
        {"hosts": [{"name": "mx.example.org", "addresses": ["192.0.2.1"] * 17}]},
        {"senders": ["nobody"]},
        {"spf": "v=spf1 mx\n-all"},
        {"dkim": {"a b": "v=DKIM1"}},
        {"dkim": {"s": 'v=DKIM1; p=\x00"'}},
        {"dmarc_reports": ["dmarc@example.org"]},
        {"dmarc_reports": ["mailto:a@example.org; p=none"]},
        {"dmarc_reports": ["mailto:a@example.org,mailto:b@example.org"]},
        {"dmarc_reports": ["mailto:a@example.org!10m"]},
        {"mta_sts": "none"},
        {"mta_sts_max_age": 60},
        {"services": {"gopher": None}},
        {"services": {"imaps": {"host": "imap.example.org", "port": 0}}},
        {"tlsa": {"mx.example.org": ["3 1 1 zz"]}},
        {"tlsa": {"mx.example.org": ["3 1 1 ab\n@ IN MX 0 ."]}},
        {"ttl": 1},
        {"colour": "red"},
    ],
)
def test_a_bad_wish_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        expectations(**change)


def test_names_are_alabels() -> None:
    wished = expectations(hosts=[{"name": "MX.Bücher.example."}], web_host="WWW.Example.org")
    assert wished.hosts[0].name == "mx.xn--bcher-kva.example"
    assert wished.web_host == "www.example.org"


def test_the_records_to_publish() -> None:
    wished = expectations(senders=["198.51.100.7", "192.0.2.2", "2001:db8::9"], spf_end="~all")
    assert wished.spf_record() == "v=spf1 mx ip4:198.51.100.7 ip6:2001:db8::9 ~all"
    assert expectations(spf="v=spf1 a -all").spf_record() == "v=spf1 a -all"
    assert wished.dmarc_record() == "v=DMARC1; p=reject; rua=mailto:dmarc@reports.example"
    assert expectations(dmarc_reports=[]).dmarc_record() == "v=DMARC1; p=reject"
    assert wished.tls_report_record() == "v=TLSRPTv1; rua=mailto:tls@example.org"
    assert [str(address) for address in wished.all_senders()] == [
        "192.0.2.1", "2001:db8::1", "192.0.2.2", "198.51.100.7", "2001:db8::9",
    ]  # fmt: skip
