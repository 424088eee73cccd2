"""The authors of one of our messages, for the choice of the signature and the ownership tables."""

from __future__ import annotations

from collections.abc import Sequence

from msgauth.dmarc import find_author
from msgauth.mail_address import MailAddress


def authors(fields: Sequence[bytes]) -> tuple[MailAddress, ...]:
    """Return the addresses that a mail program could show as author, the first one in From first.

    The local part is empty if programs may show different ones. The result is empty unless there is
    exactly one From field that all mail programs read as the same domain. `fields` has the values
    of all From fields of a message.
    """
    found = find_author(fields)
    return () if found.problem else found.mailboxes
