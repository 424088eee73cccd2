"""The folder of messages in quarantine, when two want the same message."""

from __future__ import annotations

import errno
import time
from contextlib import closing
from pathlib import Path

import pytest

from delivery.quarantine.folder import HeldEnvelope, HeldFolder, TakenMessage
from gatepost.quarantine.held import HeldKind, HeldMail, HeldReach

OCTETS = b"Subject: x\r\n\r\nbody\r\n"


def mail(*recipients: str) -> HeldMail:
    return HeldMail(
        id="",
        kind=HeldKind.VIRUS,
        held_at=time.time(),
        sender="sender@example.com",
        recipients=recipients,
        size=len(OCTETS),
        reason="Eicar",
    )


@pytest.fixture
def folder(tmp_path: Path) -> HeldFolder:
    made = HeldFolder(tmp_path / "quarantine", 1 << 20)
    made.prepare()
    return made


class Hurried(HeldFolder):
    """A folder in which somebody else wants a message whenever the disk is waited for."""

    wanted = ""
    got: TakenMessage | None = None

    def _sync(self) -> None:
        super()._sync()
        if self.wanted and self.got is None:
            self.got = self.take(self.wanted)


def test_mail_kept_for_some_is_not_lost_to_somebody_who_takes_it_meanwhile(tmp_path: Path) -> None:
    folder = Hurried(tmp_path / "quarantine", 1 << 20)
    folder.prepare()
    kept = folder.add(mail("ann@example.org", "bob@example.net"), HeldEnvelope("", False), [OCTETS])
    taken = folder.take(kept.id)
    assert taken is not None
    folder.wanted = kept.id
    taken.keep_for(("bob@example.net",))
    other = folder.got or folder.take(kept.id)
    assert other is not None
    other.put_back()  # the mail store has refused it
    found = folder.read(kept.id, 1000)
    assert found is not None
    assert found[0].recipients == ("bob@example.net",)
    assert found[1] == OCTETS
    assert len(list(folder.path.iterdir())) == 1


def test_mail_kept_for_some_who_may_have_it_says_so(folder: HeldFolder) -> None:
    kept = folder.add(mail("ann@example.org", "bob@example.net"), HeldEnvelope("", False), [OCTETS])
    taken = folder.take(kept.id)
    assert taken is not None
    taken.keep_for(("bob@example.net",), in_doubt=True)
    (found,) = folder.latest(HeldReach(), 10).mails
    assert found.recipients == ("bob@example.net",)
    assert found.note


def test_mail_that_was_kept_for_some_stays_so_after_a_crash(
    folder: HeldFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = folder.add(mail("ann@example.org", "bob@example.net"), HeldEnvelope("", False), [OCTETS])
    taken = folder.take(kept.id)
    assert taken is not None

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(folder, "put_back", crash)
    with closing(taken._file), pytest.raises(KeyboardInterrupt):
        taken.keep_for(("bob@example.net",))
    again = HeldFolder(folder.path, 1 << 20)
    again.prepare()
    (found,) = again.latest(HeldReach(), 10).mails
    assert found.recipients == ("bob@example.net",)


def test_mail_that_cannot_be_opened_now_is_not_left_taken(
    folder: HeldFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = folder.add(mail("ann@example.org"), HeldEnvelope("", False), [OCTETS])

    def fail(_: str) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(folder, "_open", fail)
        with pytest.raises(OSError, match="Too many"):
            folder.take(kept.id)
    assert folder.read(kept.id, 1000) is not None
