"""Holders of mail in quarantine without a socket."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from accounts.quarantine.holders import (
    GONE,
    FoundMail,
    FoundMails,
    HolderAnswer,
    MissingHolder,
    QuarantineHolders,
)
from accounts.quarantine.settings import QuarantineSettings
from gatepost.listen import Inet, SocketAddress
from gatepost.quarantine.held import HeldKind, HeldMail, HeldReach
from gatepost.quarantine.holder import HeldContent, HeldRelease, HolderError, NotHeldError

HOLDER = "virus-mx1"
MAIL = HeldMail(
    id="1",
    kind=HeldKind.VIRUS,
    held_at=1_899_999_000.0,
    sender="sender@example.com",
    recipients=("bob@b.example",),
    size=100,
    reason="Eicar-Test",
    queue_id="4XyzAb12",
    message_id="<1@example.com>",
    author="Sender <sender@example.com>",
    subject="for bob",
)
CONTENT = b"From: sender@example.com\r\nSubject: for bob\r\n\r\nbob's virus\r\n"


@dataclass
class Kept:
    """A mail with its octets; a recipient with a reply is not released."""

    mail: HeldMail
    octets: bytes = CONTENT
    replies: dict[str, str] = field(default_factory=dict)


class StubHolders(QuarantineHolders):
    """One holder, with a mail to b.example."""

    def __init__(self) -> None:
        super().__init__(QuarantineSettings)
        self.kept = {MAIL.id: Kept(MAIL)}
        self.missing: tuple[MissingHolder, ...] = ()
        self.done: list[tuple[str, str, str]] = []
        self.released: list[str] = []
        self.problem: HolderError | None = None

    def keep(self, mail_id: str, *recipients: str, octets: bytes = CONTENT, **more: str) -> Kept:
        """Keep another mail."""
        mail = replace(MAIL, id=mail_id, recipients=recipients, **more)  # type: ignore[arg-type]
        self.kept[mail_id] = Kept(mail, octets)
        return self.kept[mail_id]

    @property
    def are_there(self) -> bool:
        return True

    async def latest(self, reach: HeldReach, limit: int) -> FoundMails:
        seen = [reach.narrowed(one.mail) for one in self.kept.values()]
        found = [FoundMail(HOLDER, mail) for mail in seen if mail is not None]
        return FoundMails(tuple(found[:limit]), self.missing, len(found) > limit)

    async def find(self, holder: str, mail_id: str, reach: HeldReach, most: int) -> HolderAnswer:
        kept = self.kept.get(mail_id) if holder == HOLDER else None
        mail = None if kept is None else reach.narrowed(kept.mail)
        if kept is None or mail is None:
            raise NotHeldError(GONE)
        is_whole = most >= len(kept.octets)
        return HolderAnswer(Inet("::1", 1), HeldContent(mail, kept.octets[:most], is_whole))

    async def release(
        self, holder: str, mail_id: str, reach: HeldReach, by: str, address: SocketAddress
    ) -> HeldRelease:
        mail = self._act("release", mail_id, reach, by)
        replies = self.kept[mail_id].replies
        done = [one for one in mail.recipients if one not in replies]
        self.released += done
        left = tuple(one for one in self.kept[mail_id].mail.recipients if one not in done)
        self.kept[mail_id].mail = replace(self.kept[mail_id].mail, recipients=left)
        if not left:
            del self.kept[mail_id]
        kept = {one: text for one, text in replies.items() if one in mail.recipients}
        return HeldRelease(tuple(done), kept)

    async def delete(
        self, holder: str, mail_id: str, reach: HeldReach, by: str, address: SocketAddress
    ) -> HeldMail:
        mail = self._act("delete", mail_id, reach, by)
        assert not mail.has_others
        del self.kept[mail_id]
        return mail

    def _act(self, action: str, mail_id: str, reach: HeldReach, by: str) -> HeldMail:
        if self.problem is not None:
            raise self.problem
        mail = reach.narrowed(self.kept[mail_id].mail)
        assert mail is not None
        self.done.append((action, mail_id, by))
        return mail
