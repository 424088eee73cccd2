"""Who a client is, for greylisting: what stays the same when a sender tries again.

A large sender has a pool of servers and retries from another one, so the address alone delays its
mail for hours. What the client has proven is better: the organization whose name its address leads
to and back (FCrDNS), or the domain whose SPF record permits it. Where there is nothing of the kind
it is the network of the address.

An identity is text of the form ``kind:value``.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from policyd.match import pack_ipv4, parse_address

# Second-level labels below which a country's registry registers: "co.uk" is nobody's domain. Any of
# two letters is taken for such a label: one label too many only makes an identity narrower, one too
# few would make half a country one identity.
_REGISTRY_LABELS = frozenset(
    {"asn", "com", "edu", "firm", "gen", "gob", "gouv", "gov", "govt", "gub", "ind", "inf", "info"}
    | {"int", "ltd", "mil", "muni", "name", "net", "nhs", "nic", "nom", "org", "pla", "plc"}
    | {"police", "pro", "res", "sch", "school"}
)
_REGISTRY_LABEL_LENGTH = 2
_REGISTRY_DOMAINS = frozenset({"law.za", "web.id", "web.tr", "web.ve", "web.za"})

_DIGIT_OR_HEX = re.compile(r"\d|[a-f]{8}")
_CUSTOMER_WORDS = re.compile(
    r"(?:^|[.\d_-])(?:a?dsl|adsl|vdsl|xdsl|cable|cust|customer|dhcp|dial|dialin|dialup|dip|dyn|"
    r"dynamic|dynip|fiber|ftth|gprs|home|hsd|ip|lte|mobile|modem|pool|ppp|pppoe|res|"
    r"residential|user|wifi|wimax|wlan)(?:[.\d_-]|$)"
)


@lru_cache(maxsize=65536)
def network_identity(address: str, ipv4_prefix: int, ipv6_prefix: int) -> str:
    """``net:192.0.2.0/24``; empty when `address` is no IP address."""
    packed = pack_ipv4(address)
    if packed is not None and ipv4_prefix == 24:
        return f"net:{packed[0]}.{packed[1]}.{packed[2]}.0/24"
    parsed = parse_address(address)
    if parsed is None:
        return ""
    prefix = ipv4_prefix if parsed.version == 4 else ipv6_prefix
    return f"net:{ipaddress.ip_network((parsed, prefix), strict=False)}"


@lru_cache(maxsize=65536)
def host_identity(address: str, client_name: str) -> str:
    """``host:example.org`` from a verified host name; empty when the name identifies nobody.

    A name that is made from the address, or that says it is a customer's line, tells only whose
    network it is: everybody there shares it, so it is no identity.
    """
    name = client_name.lower().rstrip(".")
    domain = organizational_domain(name)
    if not domain or _is_generic(address, name.removesuffix(domain)):
        return ""
    return f"host:{domain}"


def organizational_domain(name: str) -> str:
    """The domain that somebody registered, by the form of the name alone; empty for a bare TLD.

    `mail.example.org` gives `example.org`, `mx.example.co.uk` gives `example.co.uk`. It errs on
    the side of one label more, which is a narrower identity.
    """
    labels = name.lower().strip(".").split(".")
    if len(labels) < 2 or not all(labels):
        return ""
    second = labels[-2]
    named = second in _REGISTRY_LABELS or f"{second}.{labels[-1]}" in _REGISTRY_DOMAINS
    registry = len(labels[-1]) == 2 and (named or len(second) <= _REGISTRY_LABEL_LENGTH)
    if registry and len(labels) == 2:
        return "" if named else ".".join(labels)
    return ".".join(labels[-3:] if registry else labels[-2:])


@lru_cache(maxsize=65536)
def looks_generic(address: str, name: str) -> bool:
    """Whether a host name is made from the address or names a customer's line."""
    name = name.lower()
    return _is_generic(address, name.removesuffix(organizational_domain(name)))


def _is_generic(address: str, host: str) -> bool:
    """The same of the part of a name that stands before the organization's domain."""
    if not host:
        return False
    if _CUSTOMER_WORDS.search(host):
        return True
    if not _DIGIT_OR_HEX.search(host):
        return False
    parsed = parse_address(address)
    if isinstance(parsed, ipaddress.IPv4Address):
        octets = parsed.packed
        if f"{int(parsed):08x}" in host or str(int(parsed)) in host:
            return True
        numbers = [int(digits) for digits in re.findall(r"\d{1,3}", host)]
        # the last two octets, in either order, and in any notation
        return octets[3] in numbers and octets[2] in numbers and len(numbers) >= 2
    if isinstance(parsed, ipaddress.IPv6Address):
        digits = parsed.exploded.replace(":", "")
        squeezed = re.sub(r"[^0-9a-f]", "", host)
        return digits[16:] in squeezed or digits in squeezed
    return False
