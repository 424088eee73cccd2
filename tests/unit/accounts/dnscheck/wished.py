"""A domain whose DNS says all that it should, and what it should say."""

from __future__ import annotations

from typing import Any

from accounts.dnscheck import Expectations
from msgauth import Rcode, RdType

KEY = (
    "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1"
    "fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fz"
    "fVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
)
"""The key of RFC 8463 appendix A.2."""
ED25519 = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

TLSA = "3 1 1 " + "ab" * 32

EXPECTED: dict[str, Any] = {
    "hosts": [
        {"name": "mx1.example.org", "addresses": ["192.0.2.1", "2001:db8::1"]},
        {"name": "mx2.example.org", "addresses": ["192.0.2.2"]},
    ],
    "senders": ["198.51.100.7"],
    "dkim": {"s1": KEY, "ed": ED25519},
    "dmarc_policy": "reject",
    "dmarc_reports": ["mailto:dmarc@reports.example"],
    "mta_sts": "enforce",
    "tls_reports": ["mailto:tls@example.org"],
    "services": {
        "imaps": {"host": "imap.example.org", "port": 993},
        "submissions": {"host": "smtp.example.org", "port": 465},
        "pop3": None,
    },
    "web_host": "www.example.org",
    "tlsa": {"mx1.example.org": [TLSA]},
}

Records = dict[tuple[str, RdType], list[str] | Rcode]

GOOD: Records = {
    ("example.org", "MX"): ["20 MX2.example.org", "10 mx1.example.org"],
    ("example.org", "TXT"): ["verification=1", "v=spf1 mx ip4:198.51.100.7 include:n.example -all"],
    ("n.example", "TXT"): ["v=spf1 ip4:203.0.113.0/24 -all"],
    ("mx1.example.org", "A"): ["192.0.2.1"],
    ("mx1.example.org", "AAAA"): ["2001:db8::1"],
    ("mx2.example.org", "A"): ["192.0.2.2"],
    ("1.2.0.192.in-addr.arpa", "PTR"): ["mx1.example.org"],
    ("2.2.0.192.in-addr.arpa", "PTR"): ["mx2.example.org"],
    ("7.100.51.198.in-addr.arpa", "PTR"): ["out.example.org"],
    ("out.example.org", "A"): ["198.51.100.7"],
    ("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", "PTR"): [
        "mx1.example.org"
    ],
    ("s1._domainkey.example.org", "TXT"): [KEY],
    ("ed._domainkey.example.org", "TXT"): [ED25519],
    ("_dmarc.example.org", "TXT"): ["v=DMARC1; p=reject; rua=mailto:dmarc@reports.example"],
    ("example.org._report._dmarc.reports.example", "TXT"): ["v=DMARC1"],
    ("_mta-sts.example.org", "TXT"): ["v=STSv1; id=20260101T000000;"],
    ("mta-sts.example.org", "CNAME"): ["www.example.org"],
    ("autoconfig.example.org", "A"): ["192.0.2.80"],
    ("autodiscover.example.org", "CNAME"): ["WWW.example.org"],
    ("www.example.org", "A"): ["192.0.2.80"],
    ("_smtp._tls.example.org", "TXT"): ["v=TLSRPTv1; rua=mailto:tls@example.org"],
    ("_25._tcp.mx1.example.org", "TLSA"): [TLSA],
    ("_imaps._tcp.example.org", "SRV"): ["0 1 993 imap.example.org"],
    ("_submissions._tcp.example.org", "SRV"): ["5 9 465 smtp.example.org"],
    ("_pop3._tcp.example.org", "SRV"): ["0 0 0 ."],
}


def expectations(**changes: Any) -> Expectations:
    return Expectations.model_validate({**EXPECTED, **changes})
