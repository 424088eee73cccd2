"""Interface of a holder of mail, and its errors."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar, Protocol

from gatepost.quarantine.held import HeldMail, HeldReach


class HolderError(Exception):
    """The holder did not do it. The message is a sentence for people."""

    status: ClassVar[HTTPStatus] = HTTPStatus.SERVICE_UNAVAILABLE


class NotHeldError(HolderError):
    """There is no such mail within reach. Somebody else may have released it."""

    status = HTTPStatus.NOT_FOUND


class HeldByOthersError(HolderError):
    """The mail has recipients beyond the reach of the caller, which the action would concern."""

    status = HTTPStatus.FORBIDDEN


@dataclass(frozen=True, slots=True)
class HeldPage:
    """The latest mails within reach; `has_more` tells that there are older ones."""

    mails: tuple[HeldMail, ...]
    has_more: bool


@dataclass(frozen=True, slots=True)
class HeldContent:
    """A mail and the first octets of it; `is_whole` tells that these are all."""

    mail: HeldMail
    octets: bytes
    is_whole: bool


@dataclass(frozen=True, slots=True)
class HeldRelease:
    """The recipients who have the mail now, and the replies of those who do not.

    The mail stays in quarantine for the latter.
    """

    released: tuple[str, ...]
    kept: dict[str, str]


class Holder(Protocol):
    """Interface of the place that has the mail. Each method raises `HolderError`.

    `reach` limits what is seen and done. `by` is the name of who asked, for the log.
    """

    async def latest(self, reach: HeldReach, limit: int) -> HeldPage:
        """Return the latest mails."""

    async def read(self, mail_id: str, reach: HeldReach, most: int) -> HeldContent:
        """Return a mail with its first `most` octets."""

    async def release(self, mail_id: str, reach: HeldReach, by: str) -> HeldRelease:
        """Deliver a mail to its recipients within reach."""

    async def delete(self, mail_id: str, reach: HeldReach, by: str) -> HeldMail:
        """Remove a mail for good; it must have no recipients beyond reach."""
