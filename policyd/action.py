"""An answer to Postfix: an action of access(5), safe to put on the wire.

Every text in an action becomes one line of printable US-ASCII, so no sender, HELO name or DNS
record can add a second answer or a header field.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from gatepost.reply import Reply

MAX_HEADER = 900
"""Maximum octets of a prepended header field: RFC 5322 section 2.1.1 allows a line of 998."""

_UNSAFE = re.compile(r"[^\x20-\x7e]+")
# RFC 5322 section 2.2: printable US-ASCII except colon
_FIELD_NAME = re.compile(r"[!-9;-~]+\Z")


@dataclass(frozen=True, slots=True)
class Action:
    """One answer: `verb` is an action of access(5), `text` its argument."""

    verb: str
    text: str = ""
    wire: bytes = field(init=False, repr=False, compare=False)
    """The answer as it is sent."""

    def __post_init__(self) -> None:
        if _UNSAFE.search(self.verb) or _UNSAFE.search(self.text):
            raise ValueError(f"an action is one line of printable US-ASCII: {self!r}")
        object.__setattr__(self, "wire", b"action=%s\n\n" % str(self).encode("ascii"))

    def __str__(self) -> str:
        return f"{self.verb} {self.text}" if self.text else self.verb

    @property
    def temporary(self) -> bool:
        """Return whether the client is told to try again later."""
        return self.verb.startswith(("4", "DEFER"))

    @property
    def permanent(self) -> bool:
        """Return whether the mail is refused permanently."""
        return self.verb.startswith("5") or self.verb == "REJECT"


DUNNO = Action("DUNNO")
"""No objection: Postfix continues with its next restriction."""


def refuse(reply: Reply) -> Action:
    """Refuse with the reply's own code, temporary or permanent.

    Raises `ValueError` for an enhanced code x.1.x, which Postfix would replace by another one.
    """
    return Action(str(reply.code), _text(reply))


def defer_if_permit(reply: Reply) -> Action:
    """Defer, unless a later Postfix restriction rejects the mail; `reply` is a 450."""
    if reply.code != 450:
        raise ValueError(f"{reply}: Postfix would say 450")
    return Action("DEFER_IF_PERMIT", _text(reply))


def _text(reply: Reply) -> str:
    if reply.enhanced[1:].startswith(".1."):
        raise ValueError(f"{reply}: Postfix makes x.1.x a code about the recipient")
    return f"{reply.enhanced} {reply.public_text}"


def hold(text: str) -> Action:
    """Put the message into the hold queue, with `text` in Postfix's log."""
    return Action("HOLD", printable(text))


def prepend(name: str, value: str) -> Action:
    """Prepend a header field to the message (not at END-OF-MESSAGE, where Postfix ignores it)."""
    if not _FIELD_NAME.match(name):
        raise ValueError(f"{name!r} is not a header field name")
    return Action("PREPEND", f"{name}: {printable(value)}"[:MAX_HEADER])


def printable(text: str) -> str:
    """`text` on one line of printable US-ASCII."""
    return _UNSAFE.sub(" ", text).strip()
