"""Address of a mailbox: a local part, and a domain in A-labels."""

from __future__ import annotations

import re
from typing import NamedTuple

from msgauth.domain import DomainError, to_alabels

_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
# RFC 5321 section 4.1.2, A-d-l: up to the first colon, as Postfix reads it. Nothing is tried twice
_ROUTES = re.compile(r"(?:@[^:]*+:)++")


class MailAddress(NamedTuple):
    """An address from SMTP, a From field or a configuration."""

    local: str
    """The local part as written, with its quotes; empty if the text has none. In the author of a
    message it is also empty if mail programs may show different ones."""
    domain: str
    """The domain in A-labels (`msgauth.domain`). Empty if the text has none that can be in DNS, as
    with an address literal."""
    text: str
    """The address as it was written."""

    @classmethod
    def parse_path(cls, path: str) -> MailAddress:
        """Return the address in an SMTP path, with or without angle brackets; never raises.

        A source route is left out.
        """
        # RFC 5321 section 4.1.2
        return cls.parse(without_route(path.strip().removeprefix("<").removesuffix(">")))

    @classmethod
    def parse(cls, text: str) -> MailAddress:
        """Parse an address without angle brackets or comments; never raises.

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
        """The local part without quotes and backslashes: ``a.b`` for ``"a\\.b"``."""
        # RFC 5321 section 4.1.2: the quoted and the plain form are the same mailbox
        if len(self.local) > 1 and self.local[0] == self.local[-1] == '"':
            return _ESCAPED.sub(r"\1", self.local[1:-1])
        return self.local

    @property
    def host(self) -> str:
        """The domain; if it is empty, the text in its place in lower case.

        Such text may be an address literal (RFC 5321 section 4.1.3). Empty for an address without
        ``@``.
        """
        return self.domain or (self.text.rpartition("@")[2].lower() if "@" in self.text else "")

    def __str__(self) -> str:
        return self.text


def without_route(text: str) -> str:
    """Return an address without the source routes before it: ``c@d`` for ``@a,@b:c@d``.

    Also if they were in quotes: Postfix drops the quotes of ``"@a:c"@d``, and then the route.
    """
    # RFC 5321 section 4.1.1.3: a receiver should strip the route
    found = _ROUTES.match(text)
    return text[found.end() :] if found else text


NO_ADDRESS = MailAddress("", "", "")
"""The null reverse-path (RFC 5321 section 4.5.5), also used for an unknown address."""
