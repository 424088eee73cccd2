"""The reason ids of the milter's replies, and what each means for who reads them.

A reason id stands in brackets at the end of a reply, in the log line of the message (`reason`), in
the metrics and in `docs/reference/replies.md`, which is written from this table. Mail that is taken
can have one too: `FRAGILE`.
"""

from __future__ import annotations

from milters.fragile import REASON_EIGHT_BIT, REASON_LONG_LINE
from milters.policy import METHODS, reason_id
from milters.settings import PolicySettings

_OWN: dict[str, str] = {
    "from-not-yours": "Somebody who has logged in may not use this From: see "
    "`[milters.ownership]`.",
    "header-too-large": "The header of the message is longer than `max_header`, or has more fields "
    "than any reader takes.",
    "forged-fields": "The message has more than 500 header fields in the name of this host, which "
    "no honest message has, and removing them would keep Postfix busy.",
    "internal-error": "A mistake of Gatepost; the log has the traceback under the id in the reply. "
    "The message waits at its sender.",
    "unsigned": "The message is to be signed and cannot be: `required` is set in "
    "`[milters.sign]`, or the milter's user cannot read a key. It waits at its sender.",
}

FRAGILE: dict[str, str] = {
    REASON_LONG_LINE: "A line of the body, or of a signed header field, has more than 998 octets. "
    "Postfix breaks it when it sends the message by SMTP or LMTP (`smtp_line_length_limit`), and "
    "the signature fails at the receiver. The program that wrote the message has to break its "
    "lines.",
    REASON_EIGHT_BIT: "The body has 8-bit octets. Most servers take them; for one that does not "
    "offer 8BITMIME Postfix rewrites the body, and the signature fails, unless main.cf has "
    "`disable_mime_output_conversion = yes`.",
}
"""What the log says of signed mail that Postfix may change behind the milter."""


def reasons() -> dict[str, str]:
    """Every reason id with its meaning: the milter's own, and one for each line of its table."""
    found = dict(_OWN)
    for method in METHODS:
        section = type(getattr(PolicySettings(), method))
        for outcome, info in section.model_fields.items():
            found[reason_id(method, outcome)] = f"{method.upper()}: {info.description}"
    return found
