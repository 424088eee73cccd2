"""The authors of a message of ours: for them it is signed, and its login has to own them."""

from __future__ import annotations

from collections.abc import Sequence

from msgauth.dmarc import find_author
from msgauth.mail_address import MailAddress


def authors(fields: Sequence[bytes]) -> tuple[MailAddress, ...]:
    """Return the addresses that a mail program could show as author, the first one in From first.

    The local part is empty where programs may show different ones. Empty without exactly one From
    field, and where mail programs read it as different domains. `fields` has the values of all From
    fields of a message.
    """
    found = find_author(fields)
    return () if found.problem else found.mailboxes
