"""Reader of docker-dovecot-rspamd's configuration: `users/NAME/{passwd,fetchmailrc}`."""

from __future__ import annotations

from accounts.exchange.fetchmail import read_fetchmailrc
from accounts.exchange.files import SourceFiles
from accounts.exchange.gathering import Gathering
from accounts.exchange.lines import plain_lines
from accounts.exchange.notes import Reading, SourceError, SourcePlace
from accounts.exchange.settling import finish


def read(files: SourceFiles, *, origin: str | None = None) -> Reading:
    """Return a mailbox for each folder with a `passwd`, and the accounts that its user fetches
    from.

    The folder's name is the address; `origin` is the domain of names that lack one. A user without
    `passwd` only fetches for others. Raises `SourceError` if there is no such folder.
    """
    users: dict[str, dict[str, tuple[str, bytes]]] = {}
    for name, data in files.content.items():
        parts = name.split("/")
        if len(parts) >= 2 and parts[-1] in ("passwd", "fetchmailrc", "fdm.conf"):
            users.setdefault(parts[-2], {})[parts[-1]] = (name, data)
    if not users:
        raise SourceError("there is no folder users/NAME with a passwd or a fetchmailrc")
    gathering = Gathering("users", origin)
    owners: dict[str, str | None] = {}
    for user, found in sorted(users.items()):
        owners[user] = _mailbox(gathering, user, *found["passwd"]) if "passwd" in found else None
    for user, found in sorted(users.items()):
        if "fetchmailrc" in found:
            read_fetchmailrc(gathering, *found["fetchmailrc"], owner=owners[user])
        if "fdm.conf" in found:
            text = "rules of fdm are not imported: create filters instead"
            gathering.note("left out", text, SourcePlace(found["fdm.conf"][0]))
    return finish(gathering)


def _mailbox(gathering: Gathering, user: str, name: str, data: bytes) -> str | None:
    """Add a mailbox; its file has the stored password in the first line and nothing else."""
    lines = list(plain_lines(name, data, gathering.left_out))
    stored, place = (lines[0].text, lines[0].place) if lines else ("", SourcePlace(name))
    if len(lines) > 1:
        gathering.note("left out", "only the first line is used as password", lines[1].place)
    return gathering.mailbox(user, place, password=stored)
