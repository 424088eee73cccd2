"""Host names: the organization behind a name, and whether the name is the client's own.

Only verified names (FCrDNS) count, and most of them only show who owns the network: a hosting or
access provider generates a name for each address, from the address or from a number, as in
``vps-1a2b3c4d.vps.ovh.net``. `own_domain()` distinguishes it from the name of a mail server. In
case of doubt a name is not the client's own: an unnecessary delay costs less than sharing the
reputation of a neighbour.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from msgauth.address import IpAddress

# Second-level labels below which a country's registry registers domains: "co.uk" is nobody's
# domain. Every label of two letters counts as one: one label too many only makes an identity
# narrower, one too few would make half a country one identity.
_REGISTRY_LABELS = frozenset(
    {"asn", "com", "edu", "firm", "gen", "gob", "gouv", "gov", "govt", "gub", "ind", "inf", "info"}
    | {"int", "ltd", "mil", "muni", "name", "net", "nhs", "nic", "nom", "org", "pla", "plc"}
    | {"police", "pro", "res", "sch", "school"}
)
_REGISTRY_LABEL_LENGTH = 2
_REGISTRY_DOMAINS = frozenset({"law.za", "web.id", "web.tr", "web.ve", "web.za"})
_SHARED_DOMAINS = frozenset(
    {"br.com", "cn.com", "co.com", "de.com", "eu.com", "eu.org", "gb.net", "jpn.com", "ru.com"}
    | {"sa.com", "uk.com", "uk.net", "us.com", "us.org", "za.com"}
    | {"ddns.net", "ddnss.de", "dnshome.de", "duckdns.org", "dyndns.info", "dyndns.org", "dynu.net"}
    | {"dynv6.net", "freeddns.org", "goip.de", "hopto.org", "mooo.com", "myftp.org", "no-ip.biz"}
    | {"no-ip.info", "no-ip.org", "nip.io", "selfhost.de", "selfhost.eu", "spdns.de", "sslip.io"}
    | {"sytes.net", "zapto.org"}
)
"""Domains that give anybody a name."""

_SENDERS = frozenset(
    {"163.com", "amazonses.com", "apple.com", "constantcontact.com", "createsend.com"}
    | {"exacttarget.com", "facebook.com", "gmx.net", "google.com", "hubspotemail.net", "icloud.com"}
    | {"antispamcloud.com", "emailsrvr.com", "hornetsecurity.com", "iphmx.com", "mailchannels.net"}
    | {"mailspamprotection.com", "me.com", "salesforce.com", "smtp2go.com"}
    | {"kundenserver.de", "linkedin.com", "mail.ru", "mailgun.net", "mailgun.org", "mailjet.com"}
    | {"mandrillapp.com", "mcdlv.net", "mcsv.net", "messagelabs.com", "messagingengine.com"}
    | {"mimecast.com", "mktomail.com", "mtasv.net", "outlook.com", "paypal.com", "pphosted.com"}
    | {
        "protonmail.ch",
        "qq.com",
        "rsgsv.net",
        "sender-sib.com",
        "sendgrid.net",
        "sparkpostmail.com",
    }
    | {"twitter.com", "web.de", "yahoo.com", "yandex.net"}
)
"""Domains whose mail-sending hosts all belong to one sender, whatever their names."""

_MAX_NAME = 253
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)\Z")
_TOP_LEVEL = re.compile(r"(?:[a-z]{2,63}|xn--[a-z0-9-]+)\Z")
_DIGIT_OR_HEX = re.compile(r"\d|[a-f]{8}")
_LINE_WORDS = re.compile(
    r"(?:^|[.\d_-])(?:a?dsl|adsl|vdsl|xdsl|cable|cust|customer|dhcp|dial|dialin|dialup|dip|dyn|"
    r"dynamic|dynip|fiber|ftth|gprs|home|hsd|ip|lte|mobile|modem|pool|ppp|pppoe|res|"
    r"residential|user|wifi|wimax|wlan)(?:[.\d_-]|$)"
)
_MORE_LINE_WORDS = frozenset(
    {"broadband", "client", "clients", "cpe", "customers", "kunde", "kunden", "members", "nat"}
    | {"rdns", "rev", "reverse", "static", "subs", "subscriber", "subscribers", "unallocated"}
    | {"unassigned", "unused", "users"}
)
_NAMELESS = re.compile(
    r"hosted-?by-?|no-?(?:data|hostname|name|ptr|rdns|reverse|rev)|not-?(?:assigned|configured|set)|"
    r"placeholder|undefined|unknown|unnamed|unspecified|(?:^|[.-])(?:default|empty|pointer|ptr)(?:[.-]|$)"
)
"""Words that a provider uses when its customer has set no name; they may also name a whole
domain."""
_HOSTING_WORDS = frozenset(
    {"cloud", "cloudserver", "colo", "compute", "container", "ct", "ded", "dedi", "dedicated"}
    | {"droplet", "ec", "guest", "host", "hosted", "hosting", "hosts", "instance", "kvm"}
    | {"linode", "lxc", "node", "plesk", "rdp", "vds", "virt", "virtual", "vm", "vmi", "vps"}
    | {"vs", "vserver", "xen"}
)
"""Words that a provider puts before the number of a rented machine."""
_MAIL_WORDS = frozenset(
    {"em", "gw", "ironport", "list", "lists", "mg", "mo", "mr", "msg", "mta", "mx", "mxa", "mxb"}
    | {"mxin", "mxout", "ob", "omta", "out", "outgoing", "relay", "send", "sender"}
)
_MAIL_SYLLABLES = re.compile(
    r"bounce|exchange|exim|mail|mout|newsletter|outbound|postfix|relay|smtp|smarthost|zimbra"
)
_WORDS = re.compile(r"[a-z]+")
_DIGITS = re.compile(r"\d+")
_HEX_WORD = re.compile(r"(?<![0-9a-z])(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{6,}(?![0-9a-z])")
_HEX_LETTERS = re.compile(r"(?<![0-9a-z])[0-9a-f]{8,}(?![0-9a-z])")
_ADDRESS_LIKE = re.compile(r"(?<!\d)\d{1,3}(?:[-._x]\d{1,3}){2,}(?!\d)")
_SENDGRID = re.compile(r"o\d+\.ptr\d+\.\Z")
_MAX_SERIAL = 2
"""Maximum digits in the name of a host that may be one of few: ``web12``."""
_MAX_POOL_NUMBER = 5
"""Maximum digits in a row in the name of a mail server: ``mail-40133``."""


def has_valid_labels(name: str) -> bool:
    """Return whether each label of lower-case text is valid in a host name.

    It follows RFC 1123 section 2.1, but an underscore is allowed, as some names have one.
    """
    return len(name) <= _MAX_NAME and all(map(_LABEL.match, name.split(".")))


def is_host_name(name: str) -> bool:
    """Return whether lower-case text is a host name with a domain.

    A name whose last label is not a word, such as ``1.2.3.999``, is a mistyped address.
    """
    _, dot, last = name.rpartition(".")
    return bool(dot) and has_valid_labels(name) and _TOP_LEVEL.match(last) is not None


def organizational_domain(name: str) -> str:
    """Return the registered domain, judging by the form of the name; empty for a bare TLD.

    `mail.example.org` gives `example.org`, `mx.example.co.uk` gives `example.co.uk`. It errs
    towards one label more, which is a narrower identity.
    """
    labels = name.lower().strip(".").split(".")
    if len(labels) < 2 or not all(labels):
        return ""
    second = labels[-2]
    named = second in _REGISTRY_LABELS or f"{second}.{labels[-1]}" in _REGISTRY_DOMAINS
    registry = len(labels[-1]) == 2 and (named or len(second) <= _REGISTRY_LABEL_LENGTH)
    if registry and len(labels) == 2:
        return "" if named else ".".join(labels)
    if not registry and f"{second}.{labels[-1]}" in _SHARED_DOMAINS:
        registry = True
    return ".".join(labels[-3:] if registry else labels[-2:])


@lru_cache(maxsize=65536)
def looks_generic(address: IpAddress | None, name: str) -> bool:
    """Return whether a host name is derived from the address or names a consumer line.

    This is the narrower test, for servers that refuse such names: a number alone does not make a
    name generic. `own_domain` is stricter.
    """
    name = name.lower()
    return _is_generic(address, name.removesuffix(organizational_domain(name)))


def own_domain(address: IpAddress | None, name: str) -> str:
    """Return the organizational domain of a verified host name in lower case; empty if the name is
    not its client's own.

    A name is not if it contains the address, shows that the machine is rented or a consumer line,
    or has a serial number. The number of one mail server among several is not a serial number.
    """
    domain = organizational_domain(name)
    if not domain or domain in _SENDERS:
        return domain
    host = name.removesuffix(domain)
    if _is_generic(address, host) or _has_address(address, host, domain):
        return ""
    if not host or _SENDGRID.match(host):
        return "" if _NAMELESS.match(domain) else domain
    if _NAMELESS.search(host) or _NAMELESS.match(domain):
        return ""
    words = _WORDS.findall(host)
    if not _MORE_LINE_WORDS.isdisjoint(words) or _has_serial(host, words):
        return ""
    return domain


def _has_serial(host: str, words: list[str]) -> bool:
    """Return whether a machine is one of many with numbers; a mail server's number does not
    count."""
    has_digit = _DIGITS.search(host) is not None
    if has_digit and (_ADDRESS_LIKE.search(host) or _HEX_WORD.search(host)):
        return True
    if (has_digit or _HEX_LETTERS.search(host)) and not _HOSTING_WORDS.isdisjoint(words):
        return True
    if not has_digit:
        return False
    labels = host.strip(".").split(".")
    roles = [n for n, label in enumerate(labels) if _is_mail_label(label)]
    if not roles:
        return len(re.sub(r"\D", "", host)) > _MAX_SERIAL
    # the part to the right of mail.s12345 names the owner of the mail server
    if any(
        len(digits) > _MAX_SERIAL for digits in _DIGITS.findall(".".join(labels[roles[-1] + 1 :]))
    ):
        return True
    return any(len(digits) > _MAX_POOL_NUMBER for digits in _DIGITS.findall(host))


def _is_mail_label(label: str) -> bool:
    return bool(_MAIL_SYLLABLES.search(label)) or not _MAIL_WORDS.isdisjoint(_WORDS.findall(label))


def _is_generic(address: IpAddress | None, host: str) -> bool:
    """Return whether the part before the organization's domain has the address or names a line."""
    if not host:
        return False
    if _LINE_WORDS.search(host):
        return True
    if not _DIGIT_OR_HEX.search(host):
        return False
    if isinstance(address, ipaddress.IPv4Address):
        octets = address.packed
        if f"{int(address):08x}" in host or str(int(address)) in host:
            return True
        numbers = [int(digits) for digits in re.findall(r"\d{1,3}", host)]
        # the last two octets, in either order, and in any notation
        if octets[3] == octets[2]:
            return numbers.count(octets[3]) >= 2
        return octets[3] in numbers and octets[2] in numbers
    if isinstance(address, ipaddress.IPv6Address):
        digits = address.exploded.replace(":", "")
        squeezed = re.sub(r"[^0-9a-f]", "", host)
        return digits[16:] in squeezed or digits in squeezed
    return False


def _has_address(address: IpAddress | None, host: str, domain: str) -> bool:
    """Return whether the name contains part of the address in one of further notations."""
    if isinstance(address, ipaddress.IPv4Address):
        hexed = address.packed.hex()
        if not (_DIGITS.search(host) or _DIGITS.search(domain) or hexed[2:].isalpha()):
            return False  # every notation has a digit: this is the usual case
        octets = [str(octet) for octet in address.packed]
        # the network is the domain itself: ip-192-0-2.eu
        numbers = _DIGITS.findall(domain)
        if any(numbers[n : n + 3] == octets[:3] for n in range(len(numbers) - 2)):
            return True
        joined = [octets, octets[::-1], [octet.zfill(3) for octet in octets]]
        digits = ["".join(one) for one in joined]
        squeezed = re.sub(r"[-._x]", "", host)
        in_hex = (hexed, address.packed[::-1].hex(), hexed[2:])
        return any(len(one) >= 5 and one in host for one in digits) or any(
            one in squeezed for one in in_hex
        )
    if isinstance(address, ipaddress.IPv6Address):
        nibbles = address.exploded.replace(":", "")
        squeezed = re.sub(r"[^0-9a-f]", "", host)
        if nibbles[::-1] in squeezed or nibbles[16:][::-1] in squeezed:
            return True
        groups = [group.lstrip("0") or "0" for group in address.exploded.split(":")]
        written = re.split(r"[-._x]", host)
        meaning = [group for group in groups[4:] if group != "0"]
        found = [group for group in meaning if group in written or group.zfill(4) in written]
        # two groups of the interface identifier, or the only one after the network that is not 0
        return len(found) > 1 or (
            bool(found) and any(group in written for group in groups[1:4] if group != "0")
        )
    return False
