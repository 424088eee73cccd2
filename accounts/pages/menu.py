"""Menu: the pages of each role that are linked on every page."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from accounts.http.principals import Principal, Role


class MenuEntry(NamedTuple):
    """An entry: its path, and its text."""

    path: str
    text: str


def entries(visitor: Principal | None, gettext: Callable[[str], str]) -> list[MenuEntry]:
    """Return the entries for a visitor; none without a login."""
    if visitor is None:
        return []
    _ = gettext
    found = [MenuEntry("/", _("Home"))]
    if visitor.role is Role.MAILBOX:
        found += [
            MenuEntry("/filters", _("Filters")),
            MenuEntry("/away", _("Away")),
            MenuEntry("/forwarding", _("Forwarding")),
            MenuEntry("/spam", _("Spam")),
            MenuEntry("/trace", _("Where is my mail?")),
        ]
    else:
        found += [
            MenuEntry("/domains", _("Domains")),
            MenuEntry("/mailboxes", _("Mailboxes")),
            MenuEntry("/aliases", _("Aliases")),
            MenuEntry("/trace", _("Trace mail")),
            MenuEntry("/audit", _("Changes")),
        ]
    found += [MenuEntry("/security", _("Security"))]
    return found
