"""Meanings of reason ids for a person who asks why a mail did not arrive, with advice.

docs/reference/replies.md has the meanings for administrators. A test compares the ids.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from accounts.journal.row import JournalRow


class ReasonMeaning(NamedTuple):
    """Continuation of "because", and one or more sentences about what to do; perhaps none."""

    because: str
    advice: str = ""


_LATER: Final = "The sender's server tries again by itself."
_AGAIN: Final = "The next attempt comes by itself."
_ALLOW: Final = (
    "If the sender is genuine, add the client to `allow_clients` in [policyd.tables], and ask the "
    "sender's administrator to correct it."
)
_OURS: Final = "This is a fault of this system: its log has the details."

_MEANINGS: Final[dict[str, ReasonMeaning]] = {
    # policy server
    "greylist-new": ReasonMeaning("this server has not sent to this recipient before", _LATER),
    "greylist-early": ReasonMeaning("the server came back too early", _LATER),
    "dnslist": ReasonMeaning(
        "the client is on DNS lists of spam sources",
        "The sender's administrator has to ask the list for removal. " + _ALLOW,
    ),
    "denied-client": ReasonMeaning(
        "the client is in `deny_clients`", "Remove it from [policyd.tables] to let it in."
    ),
    "denied-helo": ReasonMeaning(
        "the name that the client gave is in `deny_helo`",
        "Remove it from [policyd.tables] to let it in.",
    ),
    "denied-sender": ReasonMeaning(
        "the sender is in `deny_senders`", "Remove it from [policyd.tables] to let it in."
    ),
    "denied-recipient": ReasonMeaning(
        "the recipient is in `deny_recipients`", "Remove it from [policyd.tables] to let mail in."
    ),
    "denied-user": ReasonMeaning(
        "the login is in `deny_users`", "Remove it from [policyd.tables] to let it send."
    ),
    "no-name": ReasonMeaning("the address of the client has no valid host name", _ALLOW),
    "generic-name": ReasonMeaning(
        "the host name of the client looks like that of a consumer line", _ALLOW
    ),
    "helo-forged": ReasonMeaning(
        "the client introduced itself with a name or an address of this system", _ALLOW
    ),
    "helo-malformed": ReasonMeaning("the client introduced itself with an invalid name", _ALLOW),
    "helo-unqualified": ReasonMeaning(
        "the client introduced itself with a name without a dot", _ALLOW
    ),
    "sender-unknown": ReasonMeaning(
        "the sender's domain can receive no mail",
        "The sender has to use an address that exists, or to correct its DNS.",
    ),
    "sender-null-mx": ReasonMeaning(
        "the sender's domain declares that it has no mail",
        "The sender has to use another address, or to remove the null MX record.",
    ),
    "limit-": ReasonMeaning(
        "it exceeds a limit", "Mail passes again later, or with a higher limit in [policyd.limits]."
    ),
    "compromised": ReasonMeaning(
        "the login shows signs that somebody else uses it",
        "Change its password, and review the mail that it sent.",
    ),
    "sender-not-owned": ReasonMeaning(
        "the login may not use this sender", "Give it the right with `gatepost user set`."
    ),
    "sender-needs-login": ReasonMeaning(
        "only a login may use this sender",
        "If the sender is one of our users, their program has to log in.",
    ),
    "too-many-requests": ReasonMeaning("the policy server was too busy", _LATER),
    "out-of-resources": ReasonMeaning("this host had run out of resources", f"{_LATER} {_OURS}"),
    # milter
    "dkim-second-field": ReasonMeaning("a second copy of a signed header field was added"),
    "dmarc-fail-none": ReasonMeaning("the author's domain does not vouch for it (DMARC)"),
    "dmarc-fail-quarantine": ReasonMeaning(
        "the author's domain asks to quarantine mail that it does not vouch for (DMARC)",
        "The sender has to send through a server of that domain, or sign with its DKIM key.",
    ),
    "dmarc-fail-reject": ReasonMeaning(
        "the author's domain forbids mail that it does not vouch for (DMARC)",
        "The sender has to send through a server of that domain, or sign with its DKIM key. For a "
        "mailing list or a forwarder, list its ARC sealer as trusted.",
    ),
    "dmarc-permerror": ReasonMeaning(
        "the author is not clear, or the DMARC record is invalid",
        "The sender has to correct the From field or the record.",
    ),
    "forged-fields": ReasonMeaning("it has many header fields in the name of this system"),
    "from-not-yours": ReasonMeaning(
        "the login may not use this From address", "Give it the right with `gatepost user set`."
    ),
    "owners-unknown": ReasonMeaning(
        "it was not known who may use this From address", f"{_LATER} {_OURS}"
    ),
    "header-too-large": ReasonMeaning("its header is too large"),
    "too-much-mail": ReasonMeaning("too many large messages were in progress", _LATER),
    "unsigned": ReasonMeaning("it could not be signed", f"{_LATER} {_OURS}"),
    "internal-error": ReasonMeaning("there was an internal error", f"{_LATER} {_OURS}"),
    "virus": ReasonMeaning(
        "it has a virus", "If it is harmless, the sender has to send it in another form."
    ),
    "virus-scan-incomplete": ReasonMeaning(
        "it is too large for the scan for viruses",
        "Raise `scan_size` in [milters.virus] and the limits of clamd.",
    ),
    # delivery
    "scanner-away": ReasonMeaning("the spam scanner did not answer", _AGAIN),
    "scanner-waits": ReasonMeaning("the spam scanner wants to see it again later", _AGAIN),
    "virus-scanner-away": ReasonMeaning("the virus scanner did not answer", _AGAIN),
    "store-away": ReasonMeaning("the mail store did not answer", _AGAIN),
    "store-unknown": ReasonMeaning(
        "accounts names a mail store that delivery does not know",
        "Add it to [delivery.stores]. Postfix tries again.",
    ),
    "accounts-away": ReasonMeaning("the mailboxes were not known yet", _AGAIN),
    "quarantine-failed": ReasonMeaning(
        "it has a virus, and the quarantine did not take it", _AGAIN
    ),
    "no-space": ReasonMeaning("there was no space for it", f"Free some. {_AGAIN}"),
    "too-large": ReasonMeaning("it is larger than `delivery.max_size`"),
    "out-of-time": ReasonMeaning("scanning and delivery took too long", _AGAIN),
}

_METHODS: Final = {
    "arc": "ARC",
    "dkim": "DKIM",
    "dmarc": "DMARC",
    "iprev": "the reverse name",
    "spf": "SPF",
}
_RESULTS: Final = {
    "fail": "{} says that it is not genuine",
    "softfail": "{} says that it is probably not genuine",
    "neutral": "{} gives no clear result",
    "none": "there is nothing to check for {}",
    "permerror": "the record of {} is invalid",
    "temperror": "DNS gave no answer for {}",
    "policy": "{} is not acceptable here",
}


def meaning_of(reason: str) -> ReasonMeaning | None:
    """Return the meaning of a reason id; None for one that is not known."""
    if reason.startswith("limit-"):
        return _MEANINGS["limit-"]
    if (found := _MEANINGS.get(reason)) is not None:
        return found
    if reason.endswith("-unavailable"):
        check = reason.removesuffix("-unavailable")
        return ReasonMeaning(f"the check `{check}` could not be made", f"{_LATER} {_OURS}")
    method, _, result = reason.partition("-")
    result = result.partition("-")[0]
    if method in _METHODS and result in _RESULTS:
        advice = "" if result == "temperror" else "The sender's administrator has to correct it."
        return ReasonMeaning(_RESULTS[result].format(_METHODS[method]), advice or _LATER)
    return None


def because(row: JournalRow) -> str:
    """Return the reason of a decision as the end of a sentence, beginning with a blank."""
    if (known := meaning_of(row.reason)) is not None:
        return f" because {known.because}"
    return f" with the reason {row.reason}" if row.reason else ""


def advice_of(row: JournalRow) -> str:
    """Return the advice about a decision; perhaps an empty text."""
    known = meaning_of(row.reason)
    return "" if known is None else known.advice
