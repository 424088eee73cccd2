"""Stand-in for doveadm(1) and doveconf(1): mail is in the folder `LIVE`, one file a message.

``LIVE/USER/FOLDER/GUID`` is a message with its flags in ``GUID.flags``. It runs as a program, named
`doveadm` or `doveconf`, and knows the commands of `accounts.backup.dovecot`. The environment makes
it fail: `FAKE_LOSES` is a GUID that is never copied, `FAKE_HANGS` a user for whom it never ends.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from pathlib import Path

_OPTIONS = 2


def install(folder: Path) -> None:
    """Make the two programs in a folder for ``PATH``."""
    for name in ("doveadm", "doveconf"):
        program = folder / name
        program.write_text(f"#!{sys.executable} -I\n{Path(__file__).read_text()}")
        program.chmod(0o755)


def folder_guid(user: str, name: str) -> str:
    """Return the GUID of a folder: 32 hexadecimal digits."""
    return hashlib.sha256(f"{user}/{name}".encode()).hexdigest()[:32]


def _folders(user: str) -> list[Path]:
    live = Path(os.environ["LIVE"]) / user
    return sorted(each for each in live.iterdir() if each.is_dir())


def _guids(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir() if not each.name.endswith(".flags"))


def _maildir(mail: Path, name: str) -> Path:
    return mail if name == "INBOX" else mail / name


def _backup(user: str, mail: Path) -> None:
    for folder in _folders(user):
        target = _maildir(mail, folder.name)
        for part in ("cur", "new", "tmp"):
            (target / part).mkdir(parents=True, exist_ok=True)
        there = {each.name.partition(":")[0]: each for each in (target / "cur").iterdir()}
        guids = [guid for guid in _guids(folder) if guid != os.environ.get("FAKE_LOSES")]
        for gone in there.keys() - set(guids):
            there[gone].unlink()
        for guid in guids:
            flags = folder / f"{guid}.flags"
            name = f"{guid}:2,{flags.read_text() if flags.exists() else ''}"
            if guid in there:
                there[guid].rename(target / "cur" / name)
            else:
                new = target / "tmp" / guid
                try:
                    new.write_bytes((folder / guid).read_bytes())
                except OSError:
                    new.unlink()
                    raise
                new.rename(target / "cur" / name)
        lines = [f"3 V1 N{len(guids) + 1} G{folder_guid(user, folder.name)}"]
        lines += [f"{uid} :{guid}" for uid, guid in enumerate(guids, 1)]
        (target / "dovecot-uidlist").write_text("\n".join(lines) + "\n")
    sieve = Path(os.environ["LIVE"]) / user / ".sieve"
    if sieve.exists():
        (mail.parent / "sieve").mkdir(exist_ok=True)
        (mail.parent / "sieve" / "mine.sieve").write_bytes(sieve.read_bytes())


def _sync(user: str, mail: Path) -> None:
    live = Path(os.environ["LIVE"]) / user
    for uidlist in mail.rglob("dovecot-uidlist"):
        folder = live / ("INBOX" if uidlist.parent == mail else uidlist.parent.relative_to(mail))
        folder.mkdir(parents=True, exist_ok=True)
        for each in (uidlist.parent / "cur").iterdir():
            guid, _, flags = each.name.partition(":2,")
            (folder / guid).write_bytes(each.read_bytes())
            if flags:
                (folder / f"{guid}.flags").write_text(flags)


def _main(words: list[str]) -> int:
    if Path(sys.argv[0]).name == "doveconf":
        sys.stdout.write(os.environ.get("FAKE_ID", "0") + "\n")
        return 0
    at = words.index("-u")
    command, user, rest = words[_OPTIONS:at], words[at + 1], words[at + 2 :]
    if not (Path(os.environ["LIVE"]) / user).is_dir():
        return 67
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(int(os.environ.get("FAKE_ID", "0")))
        os.setuid(int(os.environ.get("FAKE_ID", "0")))
    if command[0] in ("backup", "sync"):
        settings = dict(word.partition("=")[::2] for word in rest if "=" in word)
        mail = Path(settings["mail_path"])
        Path(settings["mail_index_path"]).mkdir(parents=True, exist_ok=True)
        if user == os.environ.get("FAKE_HANGS"):
            mail.mkdir(parents=True, exist_ok=True)
            time.sleep(1000)
        (_backup if command[0] == "backup" else _sync)(user, mail)
        return 0
    if command[0] == "mailbox":
        found = [
            {
                "mailbox": each.name,
                "guid": folder_guid(user, each.name),
                "messages": str(len(_guids(each))),
                "uidnext": str(len(_guids(each)) + 1),
            }
            for each in _folders(user)
        ]
    else:
        (folder,) = (each for each in _folders(user) if folder_guid(user, each.name) == rest[2])
        found = [{"guid": guid} for guid in _guids(folder)]
    sys.stdout.write(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
