"""The DKIM key records of a domain."""

from __future__ import annotations

from accounts.dnscheck.finding import DnsFinding, FindingLevel, unanswered
from msgauth.ask import Lookup, Rcode, ask
from msgauth.dkim.record import (
    KeyRecord,
    KeyRecordError,
    RevokedError,
    parse_key_record,
)


def check_key(domain: str, selector: str, record: str) -> Lookup[tuple[DnsFinding, ...]]:
    """Check that the key of `record` is published, alone and usable (RFC 6376 section 3.6.2)."""
    name = f"{selector}._domainkey.{domain}"
    answer = yield from ask(name, "TXT")
    if answer.rcode is Rcode.TEMPFAIL:
        return (unanswered("DKIM", name, "TXT", (record,)),)
    level, text = _judge(name, answer.records, record)
    return (DnsFinding("DKIM", name, "TXT", level, text, answer.records, (record,)),)


def check_no_key(domain: str) -> Lookup[tuple[DnsFinding, ...]]:
    """Report that there is no key to check, without a DNS query."""
    yield from ()
    text = (
        f"The datastore has no active DKIM key of {domain}. `gatepost keys check` looks at keys in "
        "files."
    )
    return (DnsFinding("DKIM", f"_domainkey.{domain}", "TXT", FindingLevel.WARNING, text),)


def _judge(name: str, found: tuple[str, ...], wanted: str) -> tuple[FindingLevel, str]:
    if not found:
        return (
            FindingLevel.ERROR,
            f"The key {name} is not in DNS, so signatures with it do not verify.",
        )
    if len(found) > 1:
        # RFC 6376 section 3.6.2.2: undefined
        return (
            FindingLevel.ERROR,
            f"{name} has {len(found)} records; verifiers may take the wrong one.",
        )
    try:
        published = parse_key_record(found[0])
    except RevokedError:
        return FindingLevel.ERROR, f"DNS says that the key {name} is revoked."
    except KeyRecordError as error:
        return FindingLevel.ERROR, f"The record of the key {name} cannot be used: {error}."
    if published.key.to_base64() != _key(wanted):
        return FindingLevel.ERROR, f"DNS has another key at {name} than the one that signs."
    return _judge_use(name, published)


def _key(record: str) -> str:
    try:
        return parse_key_record(record).key.to_base64()
    except KeyRecordError:
        return ""


def _judge_use(name: str, published: KeyRecord) -> tuple[FindingLevel, str]:
    if published.hashes is not None and "sha256" not in published.hashes:
        return FindingLevel.ERROR, f"The record of the key {name} does not allow SHA-256."
    if not published.services & {"*", "email"}:
        return FindingLevel.ERROR, f"The record of the key {name} does not allow mail."
    if published.key.is_too_short:  # RFC 8301 section 3.2
        return (
            FindingLevel.ERROR,
            f"The key {name} has {published.key.bits} bits, which is too short.",
        )
    if published.testing:
        return (
            FindingLevel.WARNING,
            f"The record of the key {name} says that it is only a test (t=y).",
        )
    return FindingLevel.OK, f"The key {name} is in DNS."
