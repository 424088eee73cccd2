"""Mail in quarantine: its facts, and the part of them that a caller may see.

The facts are JSON on the wire, and in the first line of a file of a folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from msgauth.mail_address import MailAddress

MAX_RECIPIENTS: Final = 10_000
"""Recipients of a mail, as many as delivery takes."""
MAX_TEXT: Final = 1000
"""Characters of a text."""
MAX_LISTED: Final = 20
"""Recipients of a mail in a list."""


class HeldKind(StrEnum):
    """Reason why a mail is kept, and so where."""

    VIRUS = "virus"
    """It has a virus, and is in the folder of the LMTP proxy."""
    HOLD = "hold"
    """It is in the hold queue of Postfix."""
    UNREADABLE = "unreadable"
    """Its file in the folder of the LMTP proxy cannot be read: only its name and size are known."""


@dataclass(frozen=True, slots=True)
class HeldMail:
    """A mail in quarantine. `id` names it at its holder."""

    id: str
    kind: HeldKind
    held_at: float
    """Seconds since the epoch."""
    sender: str
    """The address in MAIL FROM; empty for a bounce."""
    recipients: tuple[str, ...]
    size: int
    """Octets."""
    reason: str = ""
    """The name of the virus, or the reason that Postfix gives."""
    queue_id: str = ""
    message_id: str = ""
    author: str = ""
    """The From field."""
    subject: str = ""
    note: str = ""
    """A sentence for the administrator, such as that a release was interrupted."""
    recipient_count: int = 0
    """Recipients within reach, of which a list has only the first ones."""
    has_others: bool = False
    """True if it has recipients that the caller may not see."""

    def as_json(self) -> dict[str, Any]:
        """Return the object of JSON."""
        return asdict(self) | {"kind": self.kind.value, "recipients": list(self.recipients)}

    def shortened(self) -> HeldMail:
        """Return the mail for a list."""
        return replace(self, recipients=self.recipients[:MAX_LISTED])


@dataclass(frozen=True, slots=True)
class HeldReach:
    """The recipients whose mail a caller may see: all of them, or those in some domains."""

    domains: frozenset[str] | None = field(default=None)
    """Domains as A-labels; None is everything."""

    def narrowed(self, mail: HeldMail) -> HeldMail | None:
        """Return the mail with the recipients within reach alone; None without any."""
        found = tuple(one for one in mail.recipients if self._has(one))
        if self.domains is not None and not found:
            return None
        has_others = len(found) < len(mail.recipients)
        return replace(mail, recipients=found, recipient_count=len(found), has_others=has_others)

    def _has(self, recipient: str) -> bool:
        return self.domains is None or MailAddress.parse_path(recipient).domain in self.domains


def read_held(given: object) -> HeldMail:
    """Return the mail of an object of JSON; raises `ValueError`."""
    if not isinstance(given, Mapping):
        raise ValueError("a mail is an object")  # noqa: TRY004 # it is a value of JSON
    recipients = given.get("recipients")
    if not isinstance(recipients, list) or len(recipients) > MAX_RECIPIENTS:
        raise ValueError("a mail has a list of recipients")
    return HeldMail(
        id=_text(given, "id"),
        kind=HeldKind(_text(given, "kind")),
        held_at=_number(given, "held_at"),
        sender=_text(given, "sender"),
        recipients=tuple(_checked(one) for one in recipients),
        size=int(_number(given, "size")),
        reason=_text(given, "reason"),
        queue_id=_text(given, "queue_id"),
        message_id=_text(given, "message_id"),
        author=_text(given, "author"),
        subject=_text(given, "subject"),
        note=_text(given, "note"),
        recipient_count=int(_number(given, "recipient_count")),
        has_others=given.get("has_others") is True,
    )


def _text(given: Mapping[str, Any], name: str) -> str:
    return _checked(given.get(name, ""))


def _checked(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a text is missing")  # noqa: TRY004 # it is a value of JSON
    return value[:MAX_TEXT]


def _number(given: Mapping[str, Any], name: str) -> float:
    value = given.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is a number")  # noqa: TRY004 # it is a value of JSON
    # also an int that is too large for a float, and NaN
    if not 0 <= value < 1 << 53:
        raise ValueError(f"{name} is out of bounds")
    return value
