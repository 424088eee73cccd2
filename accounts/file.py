"""Part of gatepost.toml that accounts reads: the common settings and `[accounts]`."""

from __future__ import annotations

from pydantic import Field

from accounts.settings import AccountsSettings
from gatepost.config import GroundSettings


class AccountsFile(GroundSettings):
    """The common settings and `[accounts]`."""

    accounts: AccountsSettings = Field(
        default_factory=AccountsSettings,
        description="The service for domains, mailboxes and aliases.",
    )
