"""The address of a mailbox: a local part, and a domain in A-labels."""

from __future__ import annotations

import re
from typing import NamedTuple

from msgauth.domain import DomainError, to_alabels

_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class MailAddress(NamedTuple):
    """An address as SMTP, a From field or a configuration has it."""

    local: str
    """The local part as written, with its quotes; empty where the text has none. In the author of
    a message it is also empty where mail programs may show different ones."""
    domain: str
    """The domain in A-labels (`msgauth.domain`). Empty where the text has none that DNS could
    hold, such as an address literal."""
    text: str
    """The address as it was written."""

    @classmethod
    def parse(cls, text: str) -> MailAddress:
        """Return the address that `text` is, without angle brackets and comments; never raises.

        The last ``@`` separates the local part from the domain (RFC 5321 section 4.1.2). Text
        without one is a local part.
        """
        local, at, name = text.rpartition("@")
        if not at:
            return cls(text, "", text)
        try:
            return cls(local, to_alabels(name), text)
        except DomainError:
            return cls(local, "", text)

    @property
    def unquoted_local(self) -> str:
        """The local part that the quotes stand for: ``a.b`` for ``"a\\.b"``."""
        # RFC 5321 section 4.1.2: the quoted and the plain form are the same mailbox
        if len(self.local) > 1 and self.local[0] == self.local[-1] == '"':
            return _ESCAPED.sub(r"\1", self.local[1:-1])
        return self.local

    def __str__(self) -> str:
        return self.text
