"""Conversion of names and records between Gatepost (text) and dnspython (wire)."""

from __future__ import annotations

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.TXT
import dns.rdtypes.IN.SRV
import dns.rdtypes.nsbase

from msgauth.domain import DomainError, to_alabels

MAX_RECORDS = 100
"""Maximum records kept of one answer. No protocol reads more than some ten of them (RFC 7208
section 4.6.4), and an answer over TCP could have thousands."""


_READ = (
    *("A", "AAAA", "CNAME", "DNAME", "MX", "NS", "PTR", "SOA", "SRV", "TLSA", "TXT"),
    *("OPT", "RRSIG"),
)


def _load_types() -> None:
    """Import modules that dnspython imports at the first record of a type: later, no descriptor may
    be free, and a type that it cannot import stays unknown to it forever."""
    for rdtype in _READ:
        dns.rdata.get_rdata_class(dns.rdataclass.IN, dns.rdatatype.from_text(rdtype))  # type: ignore[no-untyped-call]


_load_types()


def to_name(text: str) -> dns.name.Name | None:
    """Split a name into labels literally (a backslash is not an escape); None if it cannot exist.

    Names come from mail, so they can contain anything: empty labels, labels of 64 octets, 300
    octets in total. No zone contains such a name.
    """
    text = text.removesuffix(".")
    if not text:
        return dns.name.root
    try:
        ascii_text = text if text.isascii() else to_alabels(text)
        labels = [label.encode("ascii") for label in ascii_text.split(".")]
        return dns.name.Name([*labels, b""]) if all(labels) else None
    except (DomainError, dns.name.LabelTooLong, dns.name.NameTooLong):
        return None


def to_text(rdata: dns.rdata.Rdata) -> str:
    """Return one record as `msgauth.ask.Answer` describes it."""
    if isinstance(rdata, dns.rdtypes.ANY.TXT.TXT):
        return b"".join(rdata.strings).decode("latin-1")
    if isinstance(rdata, dns.rdtypes.ANY.MX.MX):
        return f"{rdata.preference} {rdata.exchange.to_text(omit_final_dot=True)}"
    if isinstance(rdata, dns.rdtypes.IN.SRV.SRV):
        target = rdata.target.to_text(omit_final_dot=True)
        return f"{rdata.priority} {rdata.weight} {rdata.port} {target}"
    if isinstance(rdata, dns.rdtypes.nsbase.NSBase):
        return rdata.target.to_text(omit_final_dot=True)
    return rdata.to_text()
