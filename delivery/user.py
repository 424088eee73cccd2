"""Name of a user of the spam filter, before it becomes part of a path or of a request.

spamd's ``--virtual-config-dir=/FOLDER/%d/%l`` puts the name into a path as it is, so a name such as
``a/../../b@example.org`` would leave the folder. Only names that are safe as they are have data of
their own; mail for all others is scanned with the data of the site.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final, NamedTuple

# no slash, no NUL, no empty part, and nothing that begins like an option or a hidden file
_LOCAL: Final = re.compile(r"[a-z0-9_][a-z0-9_+=-]*(?:\.[a-z0-9_+=-]+)*\Z")
_DOMAIN: Final = re.compile(
    r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\Z"
)
_MAX_LOCAL: Final = 64
_MAX_DOMAIN: Final = 253

OWN_FILES: Final = ("bayes_toks", "bayes_seen")
"""Files with the Bayes data of a user."""


class SpamUser(NamedTuple):
    """A safe name: neither part can leave a folder, and both are in lower case."""

    local: str
    domain: str

    @property
    def folder(self) -> PurePosixPath:
        """Return the folder of the user, as ``%d/%l`` of spamd."""
        return PurePosixPath(self.domain, self.local)

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


SITE: Final = SpamUser("site", "site")
"""The user whose data are those of the site: for mail of users who have not taught enough."""


def safe_user(address: str) -> SpamUser | None:
    """Return the user of a mailbox address, or None if the name is not safe or one of ours.

    The domain of `SITE` has the data of the site, and those that several mailboxes share.
    """
    local, at, domain = address.rpartition("@")
    if not at or len(local) > _MAX_LOCAL or len(domain) > _MAX_DOMAIN:
        return None
    if not _LOCAL.match(local) or not _DOMAIN.match(domain):
        return None
    return SpamUser(local, domain) if domain != SITE.domain else None


def with_own_data(addresses: Iterable[str]) -> list[str]:
    """Return the mailboxes that can have data of their own."""
    return [one for one in addresses if safe_user(one.lower()) is not None]
