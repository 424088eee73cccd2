"""Authors and logins: the section `[milters.ownership]`, and whether a login may use a From."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field, model_validator

from gatepost.ownership import OwnerSettings, SenderRights, read_rights
from gatepost.snapshots.senders import AccountRights, join_rights
from msgauth.mail_address import MailAddress


class FromOwnershipSettings(OwnerSettings):
    """The From addresses that a login may use; mail with another From is refused with 550 5.7.1."""

    enforce: bool = Field(
        default=False,
        description="Refuse mail whose From does not belong to the login. False: every login may "
        "use any From, and mail is signed for every domain that has a key.",
    )

    @model_validator(mode="before")
    @classmethod
    def _name_successor(cls, data: Any) -> Any:
        if isinstance(data, dict) and "senders" in data:
            raise ValueError(
                "`senders` is now `owners`, with a line for each sender: "
                'owners = ["alice@example.org alice", "@example.org *"]'
            )
        return data


class FromOwnership:
    """The rights of logins to a From: those of the tables, and of accounts where it is asked.

    Raises `OwnershipError` for a file that cannot be read.
    """

    def __init__(
        self, settings: FromOwnershipSettings, accounts: AccountRights | None = None
    ) -> None:
        self._rights: SenderRights | None = None
        if settings.enforce:
            self._rights = (
                read_rights(settings) if accounts is None else join_rights(settings, accounts)
            )

    def allows(self, login: str, authors: Sequence[MailAddress]) -> bool:
        """Return whether `login` may send mail From all of `authors`; without any it may not.

        Raises `RightsUnknownError`.
        """
        rights = self._rights
        if rights is None:
            return True
        return bool(authors) and all(rights.may_use(login, author) for author in authors)
