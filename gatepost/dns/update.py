"""Updater of TXT records by DNS UPDATE (RFC 2136), signed with TSIG (RFC 8945)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.TXT
import dns.tsig
import dns.update

from gatepost.dns.authoritative import NameServer
from gatepost.dns.names import to_name

_CHARACTER_STRING = 255  # RFC 1035 section 3.3.14


class UpdateError(Exception):
    """The server did not make the change; the text says why. The record is as it was before."""


class RecordExistsError(UpdateError):
    """Another record exists at the name, and was not to be replaced."""


@dataclass(frozen=True)
class TsigKey:
    """A key shared with the name server (RFC 8945); `secret` is never shown."""

    name: str
    algorithm: str
    secret: bytes = field(repr=False)


_ALGORITHMS = {
    "hmac-sha256": dns.tsig.HMAC_SHA256,
    "hmac-sha384": dns.tsig.HMAC_SHA384,
    "hmac-sha512": dns.tsig.HMAC_SHA512,
    "hmac-sha224": dns.tsig.HMAC_SHA224,
    "hmac-sha1": dns.tsig.HMAC_SHA1,  # RFC 8945 section 6 still requires it
}

_BIND_KEY = re.compile(
    r"""\A\s*key\s+"?(?P<name>[^\s"{]+)"?\s*\{(?P<body>[^{}]*)\}\s*;?\s*\Z""", re.IGNORECASE
)
_BIND_OPTION = re.compile(r"""\b(algorithm|secret)\s+"?([^\s";]+)"?\s*;""", re.IGNORECASE)
_COMMENT = re.compile(r"/\*.*?\*/|(?://|#)[^\n]*", re.DOTALL)


def parse_tsig_key(text: str) -> TsigKey:
    """Read a key as BIND's `tsig-keygen` writes it, or as ``[algorithm:]name:secret``.

    Raises `UpdateError`, which never contains any of the secret.
    """
    bare = _COMMENT.sub("", text) if "{" in text else text
    if match := _BIND_KEY.match(bare):
        options = {word.lower(): value for word, value in _BIND_OPTION.findall(match["body"])}
        name, algorithm, secret = match["name"], options.get("algorithm"), options.get("secret")
    else:
        parts = bare.strip().split(":")
        if len(parts) == 2:
            parts.insert(0, "hmac-sha256")
        if len(parts) != 3:
            raise UpdateError(
                'it is no TSIG key: write key "NAME" { algorithm hmac-sha256; secret "BASE64"; };'
            )
        algorithm, name, secret = parts
    algorithm = (algorithm or "hmac-sha256").lower().rstrip(".")
    if algorithm not in _ALGORITHMS:
        raise UpdateError(f"unknown algorithm, use one of {', '.join(_ALGORITHMS)}")
    if to_name(name) is None:
        raise UpdateError("its name is not a valid DNS name")
    try:
        octets = base64.b64decode(secret or "", validate=True)
    except (binascii.Error, ValueError):
        octets = b""
    if not octets:
        raise UpdateError("its secret is not base64")
    return TsigKey(name, algorithm, octets)


def replace_txt(
    name: str,
    text: str,
    *,
    zone: str,
    server: NameServer,
    key: TsigKey | None,
    ttl: int,
    timeout: float,
    expected: Sequence[str] | None,
) -> None:
    """Make `text` the only TXT record of `name`.

    `expected` are the current TXT records: if there are others, nothing is changed and
    `RecordExistsError` is raised. None: any record is replaced. Raises `UpdateError`.
    """
    update = dns.update.UpdateMessage(zone)
    owner = to_name(name)
    if owner is None:
        raise UpdateError(f"{name} is not a valid DNS name")
    if expected:
        # RFC 2136 section 2.4.2: the RRset exists with exactly these
        for record in expected:
            update.present(owner, _txt(record))
    elif expected is not None:
        update.absent(owner, dns.rdatatype.TXT)  # RFC 2136 section 2.4.3
    update.replace(owner, ttl, _txt(text))
    if key is not None:
        update.use_tsig(dns.tsig.Key(key.name, key.secret, _ALGORITHMS[key.algorithm]))
    response = _send(update, server, timeout)
    rcode = response.rcode()
    if rcode in (dns.rcode.YXRRSET, dns.rcode.NXRRSET, dns.rcode.NXDOMAIN):
        raise RecordExistsError(f"{server}: another TXT record exists at {name}")
    if rcode is not dns.rcode.NOERROR:
        raise UpdateError(f"{server} {_meaning(rcode)}")
    if key is not None and not response.had_tsig:
        # RFC 8945 section 5.3.2: anybody may have sent this answer
        raise UpdateError(
            f"{server} answers without a signature; it is unknown whether it made the change"
        )


def _txt(text: str) -> dns.rdata.Rdata:
    octets = text.encode("latin-1")
    strings = [
        octets[at : at + _CHARACTER_STRING] for at in range(0, len(octets), _CHARACTER_STRING)
    ]
    return dns.rdtypes.ANY.TXT.TXT(dns.rdataclass.IN, dns.rdatatype.TXT, strings or [b""])


def _send(
    update: dns.update.UpdateMessage, server: NameServer, timeout: float
) -> dns.message.Message:
    """Send the update over TCP: it is not sent twice, and a lost answer is noticed (RFC 2136
    section 6.2)."""
    try:
        return dns.query.tcp(update, server.address, timeout=timeout, port=server.port)
    except dns.exception.Timeout:
        raise UpdateError(f"{server} does not answer within {timeout:g} s") from None
    except dns.tsig.PeerError as error:
        raise UpdateError(f"{server} refuses the TSIG key: {_tsig_meaning(error)}") from None
    except OSError as error:
        raise UpdateError(f"{server} cannot be reached: {error.strerror or error}") from None
    except (dns.exception.DNSException, EOFError, ValueError) as error:
        raise UpdateError(f"{server} sent a malformed answer: {error}") from None


def _tsig_meaning(error: dns.tsig.PeerError) -> str:
    # RFC 8945 section 5.2
    if isinstance(error, dns.tsig.PeerBadKey):
        return "it knows no key of this name (BADKEY)"
    if isinstance(error, dns.tsig.PeerBadSignature):
        return "the secrets differ (BADSIG)"
    if isinstance(error, dns.tsig.PeerBadTime):
        return "the clocks of the two machines differ (BADTIME)"
    return str(error)


def _meaning(rcode: dns.rcode.Rcode) -> str:
    # RFC 2136 section 2.2
    meanings = {
        dns.rcode.REFUSED: "refuses: this key, or this machine, may not change the record",
        dns.rcode.NOTAUTH: "is not the primary of the zone, or does not know the TSIG key",
        dns.rcode.NOTZONE: "says that the name is not in the zone",
        dns.rcode.NOTIMP: "does not support updates",
    }
    return meanings.get(rcode) or f"answers {dns.rcode.to_text(rcode)}"
