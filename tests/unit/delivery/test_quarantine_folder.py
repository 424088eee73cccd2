"""The folder of messages in quarantine, when two want the same message."""

from __future__ import annotations

import errno
import os
import time
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

import pytest

from delivery.quarantine.folder import HeldEnvelope, HeldFolder, TakenMessage
from gatepost.quarantine.held import HeldKind, HeldMail, HeldReach
from gatepost.quarantine.wire import page_answer, read_page

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


def kept(folder: HeldFolder) -> HeldMail:
    return folder.add(mail("ann@example.org"), HeldEnvelope("", False), [OCTETS])


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"Subject: not a mail of ours\r\n\r\n",
        b'{"kind": "virus", "recipients": []}\n' + OCTETS,
        b'{"kind": "hold", "recipients": ["ann@example.org"]}\n' + OCTETS,
        b"[" * 100_000,
    ],
    ids=["empty", "text", "no recipients", "foreign", "deep"],
)
def test_a_file_that_cannot_be_read_is_listed(folder: HeldFolder, octets: bytes) -> None:
    good = kept(folder)
    (folder.path / "0123abcd.held").write_bytes(octets)
    listed = {one.id: one for one in folder.latest(HeldReach(), 10).mails}
    assert listed.keys() == {good.id, "0123abcd"}
    found = listed["0123abcd"]
    assert found.kind is HeldKind.UNREADABLE
    assert found.size == len(octets)
    assert "0123abcd.held" in found.note
    assert folder.read("0123abcd", 5) == (found, octets[:5], len(octets) <= 5)
    # it is not taken: a release would deliver it to nobody, and remove it
    assert folder.take("0123abcd") is None
    assert (folder.path / "0123abcd.held").read_bytes() == octets
    assert [one.id for one in folder.latest(HeldReach(frozenset({"example.org"})), 10).mails] == [
        good.id
    ]
    folder.discard("0123abcd")
    assert [one.id for one in folder.latest(HeldReach(), 10).mails] == [good.id]


def test_a_file_that_cannot_be_opened_is_listed(
    folder: HeldFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = kept(folder), kept(folder)
    opened = folder._open

    def refuse(name: str) -> BinaryIO:
        if name.startswith(bad.id):
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(name)

    monkeypatch.setattr(folder, "_open", refuse)
    listed = {one.id: one for one in folder.latest(HeldReach(), 10).mails}
    assert listed[good.id].kind is HeldKind.VIRUS
    assert listed[bad.id].kind is HeldKind.UNREADABLE
    assert "Permission denied" in listed[bad.id].note
    assert folder.read(bad.id, 100) == (listed[bad.id], b"", True)


def test_a_list_fails_when_no_file_can_be_opened_now(
    folder: HeldFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(folder)

    def fail(_: str) -> BinaryIO:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(folder, "_open", fail)
    with pytest.raises(OSError, match="Too many"):
        folder.latest(HeldReach(), 10)


def test_a_file_with_a_strange_name_does_not_spoil_the_list(folder: HeldFolder) -> None:
    """The client of a holder takes no list with an id that is none."""
    good = kept(folder)
    for name in (b"a b.held", b".held", b"\xff\n.doubt", b"x" * 200 + b".held"):
        (folder.path / os.fsdecode(name)).write_bytes(b"x")
    page = folder.latest(HeldReach(), 10)
    assert read_page(page_answer("virus-here", page))[1] == page
    assert sum(one.kind is HeldKind.UNREADABLE for one in page.mails) == 4
    assert good.id in {one.id for one in page.mails}
    assert all(one.note.isprintable() for one in page.mails)
