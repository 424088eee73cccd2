"""The reason ids of the milter's replies, each with its meaning for the reader.

A reason id stands in brackets at the end of a reply, in the log line of the message (`reason`), in
the metrics and in `docs/reference/replies.md`, which is generated from this table. Accepted mail
can have one too: `FRAGILE`.
"""

from __future__ import annotations

from typing import Literal

from gatepost.reply import Meaning
from milters.fragile import REASON_EIGHT_BIT, REASON_LONG_LINE
from milters.policy import METHODS, Disposition, reason_id, reply
from milters.policy_settings import PolicySettings
from milters.virus import AWAY, INCOMPLETE, NO_SPACE

_REFUSING: tuple[Literal["defer", "reject"], ...] = ("defer", "reject")

_OWN: dict[str, tuple[str, str]] = {
    "from-not-yours": (
        "550 5.7.1",
        "The login may not use this From: see `[milters.ownership]`.",
    ),
    "owners-unknown": (
        "451 4.7.1",
        "Who may use this From is to come from accounts, which has not sent it yet or does not "
        "know: see `[milters.accounts]`. The message stays in the sender's queue.",
    ),
    "header-too-large": (
        "552 5.3.4",
        "The header of the message is longer than `max_header`, or has more fields "
        "than any reader takes.",
    ),
    "forged-fields": (
        "550 5.7.1",
        "The message has more than 500 header fields in the name of this host. No honest message "
        "has, and removing them would keep Postfix busy.",
    ),
    "too-much-mail": (
        "451 4.3.2",
        "The messages in progress use all of `message_memory`, for example with large headers "
        "that wait for DNS. The message stays in the sender's queue.",
    ),
    "out-of-resources": (
        "451 4.3.2",
        "This host ran out of file descriptors, memory, buffers or ports, so the message could "
        "not be checked: see the log. The message itself is not the cause.",
    ),
    "internal-error": (
        "451 4.7.1",
        "A bug in Gatepost; the log has the traceback under the id in the reply. The message "
        "stays in the sender's queue.",
    ),
    "unsigned": (
        "451 4.7.1",
        "The message should be signed but cannot be: `required` is set in `[milters.sign]`, the "
        "milter's user cannot read a key, or no keys have come from accounts yet. It stays in the "
        "sender's queue.",
    ),
    "virus": (
        "550 5.7.1",
        "clamd has found a virus; the reply and the log (`virus`) have its name.",
    ),
    AWAY: (
        "451 4.3.0",
        "clamd did not answer, or not in time, or with an error: see `virus_problem` in the log, "
        "and `on_error` in `[milters.virus]`. The message stays in the sender's queue.",
    ),
    INCOMPLETE: (
        "451 4.7.1",
        "clamd has found nothing, but has not seen all of the message: it is larger than "
        "`scan_size` in `[milters.virus]`, or than a limit of clamd.conf. `scan_size` should not "
        "be less than message_size_limit of Postfix.",
    ),
    NO_SPACE: (
        "452 4.3.1",
        "The message could not be kept for the virus scan: `spool_folder` of `[milters.virus]` is "
        "full or cannot be written.",
    ),
}

FRAGILE: dict[str, str] = {
    REASON_LONG_LINE: "A line of the body, or of a signed header field, has more than 998 octets. "
    "Postfix breaks it when it sends the message by SMTP or LMTP (`smtp_line_length_limit`), and "
    "the signature fails at the receiver. The program that wrote the message must use shorter "
    "lines.",
    REASON_EIGHT_BIT: "The body has 8-bit octets. Most servers accept them. For one that does not "
    "offer 8BITMIME, Postfix converts the body and the signature fails, unless main.cf has "
    "`disable_mime_output_conversion = yes`.",
}
"""Reason ids in the log for signed mail that Postfix may change after the milter."""


def reasons() -> dict[str, Meaning]:
    """Return the reason ids with their meanings: the milter's own, and one for each outcome of the
    policy table."""
    found = {reason: Meaning(text, (code,)) for reason, (code, text) in _OWN.items()}
    for method in METHODS:
        section = type(getattr(PolicySettings(), method))
        for outcome, info in section.model_fields.items():
            reason = reason_id(method, outcome)
            text = f"{method.upper()}: {info.description}"
            replies = [reply(Disposition(action, reason), "") for action in _REFUSING]
            codes = tuple(f"{told.code} {told.enhanced}" for told in replies)
            found[reason] = Meaning(text, codes)
    return found
