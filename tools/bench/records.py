"""DNS records of the domains of the messages."""

from __future__ import annotations

from tools.bench.dns import Zone, txt
from tools.bench.mail import CLIENT, ED25519_SELECTOR, SELECTOR, Keys, domain


def records(keys: Keys) -> Zone:
    """Return the zone: keys, SPF and DMARC of each ``dN.bench.example``, and the client's names."""
    name = domain(0)
    reverse = ".".join(reversed(CLIENT.split(".")))
    return {
        "bench.example": {},
        name: {"TXT": txt("v=spf1 ip4:192.0.2.0/24 -all"), "A": CLIENT, "MX": f"10 mx.{name}."},
        f"_domainkey.{name}": {},
        f"{SELECTOR}._domainkey.{name}": {"TXT": txt(keys.rsa_record)},
        f"{ED25519_SELECTOR}._domainkey.{name}": {"TXT": txt(keys.ed25519_record)},
        f"_dmarc.{name}": {"TXT": txt("v=DMARC1; p=reject; rua=mailto:dmarc@bench.example")},
        f"client.{name}": {"A": CLIENT, "TXT": txt("v=spf1 a -all")},
        f"{reverse}.in-addr.arpa": {"PTR": f"client.{name}."},
        "rcpt.example": {},
    }
