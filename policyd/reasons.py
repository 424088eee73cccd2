"""The reason ids of the policy server's replies: the meaning and the codes of each.

A reason id stands in brackets at the end of a reply, in the log line of the decision (`reason`) and
in `docs/reference/replies.md`, which is generated from this table. ``limit-`` is followed by the
name that the configuration gives the limit. Codes are defined only here, so log, reference and
reply cannot differ.

There are no enhanced codes x.1.x (addresses): Postfix treats the answer of a policy server at RCPT
as one about the recipient, and would replace 5.1.8, "bad sender's system", by 5.1.2, "bad
destination system" (RFC 3463 section 3.2).
"""

from __future__ import annotations

from gatepost.reply import Meaning, Reply

_POLICY = "450 4.7.1", "554 5.7.1"
_OWNERSHIP = ("553 5.7.1",)
_GREYLISTED = ("450 4.2.0",)  # RFC 6647 section 5: 4yz; greylisting has always said 4.2.0
# RFC 7372 section 3.3: 7.25 is a failed reverse DNS validation, section 3.2: 7.23 a failed SPF
_NAME = "450 4.7.25", "550 5.7.25"
_SPF = "450 4.7.23", "550 5.7.23"
_HELO = "450 4.5.2", "550 5.5.2"
_FAILED = "451 4.3.0", "554 5.3.0"

_CODES: dict[str, tuple[str, ...]] = {
    "greylist-new": _GREYLISTED,
    "greylist-early": _GREYLISTED,
    "dnslist": ("554 5.7.1",),
    "denied-client": ("554 5.7.1",),
    "denied-helo": ("554 5.7.1",),
    "denied-sender": ("554 5.7.1",),
    "denied-recipient": ("554 5.7.1",),
    "denied-user": ("554 5.7.1",),
    "no-name": _NAME,
    "generic-name": _NAME,
    "helo-forged": ("450 4.7.1", "550 5.7.1"),
    "helo-malformed": _HELO,
    "helo-unqualified": _HELO,
    "sender-unknown": ("450 4.7.1", "550 5.7.1"),
    "sender-null-mx": ("450 4.7.27", "550 5.7.27"),  # RFC 7505 section 4.2
    "spf-fail": _SPF,
    "spf-softfail": _SPF,
    "limit-": _POLICY,
    "compromised": _POLICY,
    "sender-not-owned": _OWNERSHIP,
    "sender-needs-login": _OWNERSHIP,
    "out-of-resources": ("451 4.3.2",),
    "too-many-requests": ("451 4.3.2",),
}

_TEXTS: dict[str, str] = {
    "greylist-new": "The first attempt of a new combination of client, sender and recipient. A "
    "retry after the delay passes.",
    "greylist-early": "The client retried before the delay was over.",
    "dnslist": "The client, its host name, its HELO name or the domain of the sender is on DNS "
    "lists whose weights reach the threshold. The reply names the lists; only their operators "
    "can remove a listing.",
    "denied-client": "The client is in `deny_clients`.",
    "denied-helo": "The HELO name is in `deny_helo`.",
    "denied-sender": "The sender is in `deny_senders`.",
    "denied-recipient": "The recipient is in `deny_recipients`.",
    "denied-user": "The login is in `deny_users`.",
    "no-name": "The client's address has no host name that resolves back to it.",
    "generic-name": "The client's host name is derived from its address, or is that of a consumer "
    "line.",
    "helo-forged": "The HELO name is one of our own names or addresses.",
    "helo-malformed": "The HELO name is neither a domain name nor an address literal of the "
    "client.",
    "helo-unqualified": "The HELO name has no dot.",
    "sender-unknown": "The domain of the sender has neither an MX record nor an address.",
    "sender-null-mx": "The domain of the sender declares that it accepts no mail (RFC 7505).",
    "spf-fail": "SPF does not authorize the client to send for the domain of the sender (fail).",
    "spf-softfail": "SPF says that the client is probably not authorized to send for that domain "
    "(softfail).",
    "limit-": "The mail exceeds a limit. Deferred mail passes after some time.",
    "compromised": "A login shows signs that somebody else is using it.",
    "sender-not-owned": "A login may not use this sender.",
    "sender-needs-login": "Only a client that has logged in may use this sender.",
    "too-many-requests": "The requests in progress use all of `request_memory`.",
    "out-of-resources": "This host ran out of file descriptors, memory, buffers or ports, so a "
    "check could not query DNS. The mail is deferred, whatever the failure mode.",
    "ownership-unavailable": "The check `ownership` failed, and its failure mode is not `open`.",
    "compromised-unavailable": "The check `compromised` failed, and its failure mode is not "
    "`open`.",
    "limits-unavailable": "The check `limits` failed (its store is down), and its failure mode is "
    "not `open`.",
    "tables-unavailable": "The check `tables` failed, and its failure mode is not `open`.",
    "client-unavailable": "The check `client` failed (DNS did not answer), and its failure mode is "
    "not `open`.",
    "dnslists-unavailable": "No DNS list answered, and the failure mode of `dnslists` is not "
    "`open`.",
    "greylist-unavailable": "The check `greylist` failed, and its failure mode is not `open`.",
}

REASONS: dict[str, Meaning] = {
    reason: Meaning(text, _CODES.get(reason, _FAILED)) for reason, text in _TEXTS.items()
}
"""Every reason id; those of failed checks have the codes of a local error."""


def reply(reason: str, text: str, *, temporary: bool) -> Reply:
    """Return the reply for a reason id: 4xx or 5xx, with the code from the table.

    A reason that is not in the table has the codes of a failed check. Raises `ValueError` if the
    reason has no code of that class.
    """
    known = REASONS.get("limit-" if reason.startswith("limit-") else reason)
    wanted = "4" if temporary else "5"
    for code in known.codes if known else _FAILED:
        if code.startswith(wanted):
            number, _, enhanced = code.partition(" ")
            return Reply(int(number), enhanced, text, reason)
    raise ValueError(f"{reason} has no {wanted}xx code")
