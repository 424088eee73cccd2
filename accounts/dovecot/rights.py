"""Changes that take away a right to log in, and the Dovecot sessions that they end."""

from __future__ import annotations

from typing import Any, Final

ACTIONS: Final = (
    "mailbox.change",
    "mailbox.remove",
    "mailbox.rename",
    "app-password.remove",
    "domain.change",
    "domain.remove",
)
"""Actions of the audit log that may take away a right."""
EVERYBODY: Final = "*"
"""The mask of all sessions."""


def lost(action: str, subject: str, details: dict[str, Any]) -> str | None:
    """Return the mask of the users whose sessions a change ends, None if it takes away no right.

    The mask is an address, or ``*@`` and a domain. A session does not record its password, so it
    ends when any password of the mailbox is taken away.
    """
    match action:
        case "mailbox.remove" | "mailbox.rename" | "app-password.remove":
            return subject
        case "mailbox.change":
            is_lost = "password" in details or any(
                _is_taken(details, name) for name in ("enabled", "may_login", "may_send")
            )
            return subject if is_lost else None
        case "domain.change":
            return everybody_of(subject) if _is_taken(details, "enabled") else None
        case "domain.remove":
            return everybody_of(subject)
        case _:
            return None


def everybody_of(domain: str) -> str:
    """Return the mask of all users of a domain."""
    return f"*@{domain}"


def _is_taken(details: dict[str, Any], name: str) -> bool:
    """Return whether a flag was cleared, by its values before and after in the log."""
    values = details.get(name)
    return isinstance(values, list) and len(values) == 2 and values[1] is False
