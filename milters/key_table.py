"""The keys that may sign, and what finds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from msgauth.keys import SigningKey
from msgauth.mail_address import MailAddress


@dataclass(frozen=True, slots=True)
class DomainKey:
    """A key that may sign now: its record is published and it is neither retired nor revoked.

    `domain` and `selector` are in A-labels and lower-case.
    """

    domain: str
    selector: str
    key: SigningKey = field(repr=False)


class KeyTable(Protocol):
    """Where signing keys come from."""

    def keys_of(self, domain: str) -> Sequence[DomainKey]:
        """Return the keys that sign for exactly this domain (A-labels, lower-case), or none.

        Never raises and never waits: keys are read when the configuration is.
        """

    def keys_for(self, author: MailAddress) -> Sequence[DomainKey] | None:
        """Return the keys that a table names for this author, aligned with it and possibly none.

        None where no table says anything of the author: then its domain decides.
        """

    def is_unreadable(self, domain: str) -> bool:
        """Return whether a key for mail From `domain` may be there and cannot be read.

        Then it is not known that the mail has no key. `domain` is in A-labels and lower-case.
        """
