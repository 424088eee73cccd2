"""Preferences of recipients from accounts: the snapshot `recipients`.

In addition to the records of `gatepost.snapshots.names`, it has ``name:ADDRESS`` for each mailbox,
and for each alias of only such mailboxes, with a preference that is not the default: `greylist`,
`spam_check` and `virus_check` are false; `spam_junk_score` and `spam_reject_score` are numbers;
`allow` and `block` are lists of senders, each an address, or ``@`` and a domain. `languages`,
`subject_tag` and `rule_scores` are as in `gatepost.filter_preferences`. ``defaults:DOMAIN`` has
the same for the mailboxes of a domain, without the flags.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gatepost.snapshots.form import SnapshotData, SnapshotError
from gatepost.snapshots.names import check_common, delimiter_of, domains_of, read_local_part
from msgauth.mail_address import MailAddress

RECIPIENTS = "recipients"
"""The name of the snapshot."""


class RecipientPreferences:
    """Preferences in use in this process; before the first snapshot, all are defaults."""

    def __init__(self) -> None:
        self._used: tuple[SnapshotData, str] | None = None

    def take(self, snapshot: SnapshotData) -> None:
        """Take a snapshot into use."""
        self._used = snapshot, delimiter_of(snapshot)

    @property
    def is_known(self) -> bool:
        """Return whether a snapshot is in use."""
        return self._used is not None

    def wants_greylisting(self, recipient: MailAddress) -> bool:
        """Return whether mail for a recipient may be delayed, also for an unknown one."""
        return self.find(recipient).get("greylist") is not False

    def find(self, recipient: MailAddress) -> dict[str, Any]:
        """Return the preferences of a recipient that differ from the defaults."""
        return self.read(self.names(recipient))

    def read(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the preferences of the first of these names that has some."""
        if self._used is not None:
            for name in names:
                if (found := self._used[0].get(f"name:{name}")) is not None:
                    return dict(found)
        return {}

    def defaults(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the preferences of the first domain of these addresses that has some.

        Behind an alias domain stands its target, whose preferences are those of the mailbox.
        """
        if self._used is not None:
            domains = list(dict.fromkeys(name.rpartition("@")[2] for name in names))
            for domain in reversed(domains):
                if (found := self._used[0].get(f"defaults:{domain}")) is not None:
                    return dict(found)
        return {}

    def has_domain(self, domain: str) -> bool:
        """Return whether accounts has a domain, and it is enabled; False before the first data."""
        return self._used is not None and bool(domains_of(self._used[0], domain))

    def names(self, recipient: MailAddress) -> list[str]:
        """Return the mailboxes or aliases that an address may mean, in the order of accounts.

        Before the first snapshot this is the address itself. Empty for one that can be none.
        """
        if not recipient.domain:
            return []
        if self._used is None:
            local = read_local_part(recipient.unquoted_local, "")
            return [f"{name}@{recipient.domain}" for name in local.names]
        snapshot, delimiter = self._used
        local = read_local_part(recipient.unquoted_local, delimiter)
        domains = domains_of(snapshot, recipient.domain) or (recipient.domain,)
        return [f"{name}@{domain}" for domain in domains for name in local.names]


def check_recipients(snapshot: SnapshotData) -> None:
    """Raise `SnapshotError` unless all records have the form that this module reads."""
    for key, value in snapshot.items():
        if check_common(key, value):
            continue
        if key.startswith(("name:", "defaults:")) and not isinstance(value, dict):
            raise SnapshotError(f"the record of {key[:80]!a} is malformed")
