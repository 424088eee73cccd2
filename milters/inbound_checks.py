"""The configured checks of a message from outside, and their outcomes for the policy table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from milters.envelope import Envelope
from milters.rules import Rules
from msgauth.checks import CheckOptions, Findings, MessageChecks, Transaction
from msgauth.dkim import DkimResult
from msgauth.dmarc import Author, DmarcResult, Policy
from msgauth.message import HeaderField
from msgauth.results import DkimStatus, DmarcStatus
from msgauth.trace import Trace


def checks_of(
    rules: Rules,
    envelope: Envelope,
    fields: Sequence[HeaderField],
    author: Author,
    trace: Trace | None = None,
) -> MessageChecks:
    """Return the checks of one message; none uses the client's address if it is one of our
    proxies."""
    client = envelope.client
    address = None if rules.guard.is_proxy(client) else client.address
    settings = rules.settings.verify
    options = CheckOptions(
        settings.dkim,
        settings.spf,
        settings.arc,
        settings.dmarc,
        settings.iprev,
        rules.hostname,
        rules.dkim_limits,
    )
    transaction = Transaction(address, envelope.helo, envelope.sender, client.hostname)
    return MessageChecks(transaction, fields, author, options, trace)


def outcomes(findings: Findings) -> Mapping[str, str]:
    """Return the outcome of each method, as named in the policy table."""
    found: dict[str, str] = {}
    if findings.iprev is not None:
        found["iprev"] = findings.iprev.status.value
    if findings.spf is not None:
        found["spf"] = findings.spf.status.value
    if findings.dkim:
        found["dkim"] = _dkim_outcome(findings.dkim)
        if found["dkim"] == DkimStatus.POLICY and findings.second_field:
            found["dkim"] = "second_field"
    if findings.arc is not None:
        found["arc"] = findings.arc.status.value
    if findings.dmarc is not None:
        found["dmarc"] = _dmarc_outcome(findings.dmarc)
    return found


def _dkim_outcome(results: Sequence[DkimResult]) -> str:
    """Return the outcome of the best signature: one pass is enough (RFC 6376 section 6.1)."""
    statuses = {
        # RFC 6376 section 3.6.1: t=y MUST NOT be treated differently from unsigned mail
        DkimStatus.NONE
        if result.testing and result.status is not DkimStatus.PASS
        else result.status
        for result in results
    }
    for status in _DKIM_ORDER:
        if status in statuses:
            return status.value
    return DkimStatus.NONE.value


# temperror before fail: a signature that could not be checked may be valid
_DKIM_ORDER = (
    DkimStatus.PASS,
    DkimStatus.TEMPERROR,
    DkimStatus.FAIL,
    DkimStatus.POLICY,
    DkimStatus.PERMERROR,
    DkimStatus.NEUTRAL,
)


def _dmarc_outcome(result: DmarcResult) -> str:
    if result.status is DmarcStatus.FAIL:
        return f"fail_{result.disposition.value}"
    if result.status is DmarcStatus.TEMPERROR and result.disposition is not Policy.NONE:
        return f"temperror_{result.disposition.value}"
    return result.status.value
