"""Checks of the two identities (RFC 7208 sections 2, 4).

The checks are lookups (`msgauth.ask`): they query DNS through their driver, in a thread or an event
loop. The work is bounded: 10 terms that query, 10 names for an MX or PTR, 2 void answers; a driver
limits the time by answering `TEMPFAIL`, which becomes "temperror".
"""

from __future__ import annotations

from msgauth.address import IpAddress, parse_address
from msgauth.ask import Lookup
from msgauth.domain import DomainError, to_alabels
from msgauth.mail_address import MailAddress
from msgauth.results import Property, SpfStatus
from msgauth.spf.evaluation import (
    CheckHostResult,
    Evaluation,
    PermanentError,
    Subject,
    TemporaryError,
)
from msgauth.spf.result import Identity, SpfResult


def check_spf(
    client: IpAddress | str, *, helo: str, mail_from: str, now: int, receiver: str = "unknown"
) -> Lookup[SpfResult]:
    """Check the identity used by DMARC: may `client` send for the domain of `mail_from`?

    `client` is the address of the SMTP client, `helo` its name in HELO or EHLO and `mail_from` the
    reverse-path, with or without angle brackets; for a null one the HELO name is checked (RFC 7208
    section 2.4). `now` is the time in seconds since 1970 in UTC and `receiver` our own host name;
    both may only appear in an explanation (section 7.3).

    The work is bounded: 10 terms that query, 10 names for an MX or PTR, 2 void answers (section
    4.6.4). Raises `AddressError` at once if the client is not an address; the lookup itself never
    raises, whatever the arguments and DNS contain.
    """
    address = parse_address(client)
    sender = MailAddress.parse_path(mail_from)
    return check_mail_from(address, helo, sender, receiver=receiver, now=now)


def check_helo(
    client: IpAddress, helo: str, *, receiver: str = "unknown", now: int = 0, explain: bool = True
) -> Lookup[SpfResult]:
    """Check the HELO identity: may `client` call itself `helo` (RFC 7208 section 2.3)?

    `receiver` is our own host name and `now` seconds since 1970; both may only appear in an
    explanation (macros r and t), which is queried on "fail" if `explain` is true.
    """
    domain = _domain(helo)
    if not domain:
        return SpfResult("spf", SpfStatus.NONE, "the HELO name is not a domain", identity="helo")
    subject = Subject(client, "postmaster", domain, helo, receiver, now)
    return (yield from _check(subject, "helo", "helo", explain=explain))


def check_mail_from(
    client: IpAddress,
    helo: str,
    sender: MailAddress,
    *,
    receiver: str = "unknown",
    now: int = 0,
    explain: bool = True,
) -> Lookup[SpfResult]:
    """Check the MAIL FROM identity: may `client` send for the domain of `sender`?

    `sender` is the reverse-path. A null one means postmaster at the HELO name (RFC 7208 section
    2.4). For the other arguments see `check_helo`.
    """
    is_null = not sender.text
    local, domain = "", ""
    if is_null or "@" not in sender.text:
        domain = _domain(helo if is_null else sender.text)
    elif "." in sender.domain:
        local, domain = sender.local, sender.domain
    if not domain:
        reason = (
            "no sender, and the HELO name is not a domain"
            if is_null
            else "the sender has no domain"
        )
        return SpfResult("spf", SpfStatus.NONE, reason, sender=sender.text)
    # RFC 7208 section 4.3: without a local part it is "postmaster"
    subject = Subject(client, local or "postmaster", domain, helo, receiver, now)
    # RFC 8601 section 2.7.2: the SMTP parameter that gave the domain
    parameter: Identity = "helo" if is_null else "mailfrom"
    return (yield from _check(subject, "mailfrom", parameter, explain=explain))


def _domain(name: str) -> str:
    # RFC 7208 section 4.3: none for a malformed name, an address literal or a single label
    try:
        domain = to_alabels(name)
    except DomainError:
        return ""
    return domain if "." in domain else ""


def _check(
    subject: Subject, identity: Identity, parameter: Identity, *, explain: bool
) -> Lookup[SpfResult]:
    evaluation = Evaluation(subject)
    mechanism = explanation = ""
    try:
        outcome = yield from evaluation.check_host(subject.domain)
        status = outcome.status
        reason = _reason(outcome, evaluation.client)
        if outcome.record is not None:
            mechanism = outcome.matched.text if outcome.matched else "default"
            if explain and status is SpfStatus.FAIL and outcome.record.exp is not None:
                explanation = yield from evaluation.explain(outcome.record.exp, outcome.domain)
    except TemporaryError as error:
        status, reason = SpfStatus.TEMPERROR, str(error)
    except PermanentError as error:
        status, reason = SpfStatus.PERMERROR, str(error)
    return SpfResult(
        "spf",
        status,
        reason,
        # The local part is left out: it was not authenticated (RFC 8601 section 4).
        (Property("smtp", parameter, subject.domain),),
        identity,
        subject.domain,
        f"{subject.local}@{subject.domain}",
        mechanism,
        explanation,
    )


_VERBS = {
    SpfStatus.PASS: "authorizes",
    SpfStatus.FAIL: "does not authorize",
    SpfStatus.SOFTFAIL: "probably does not authorize",
    SpfStatus.NEUTRAL: "says nothing about",
}


def _reason(outcome: CheckHostResult, client: IpAddress) -> str:
    if outcome.record is None:
        return f"{outcome.domain} has no SPF record"
    if outcome.matched is None:
        return f"no mechanism of {outcome.domain} matches {client}"
    text = outcome.matched.text
    shown = text if len(text) <= 80 else text[:77] + "..."
    return f"{outcome.domain} {_VERBS[outcome.status]} {client} ({shown})"
