"""Reader of Postfix's own files: virtual aliases, mailboxes, senders, and Dovecot's passwd-file."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from accounts.exchange.files import SourceFiles
from accounts.exchange.gathering import Gathering
from accounts.exchange.notes import Reading, SourceError, SourcePlace
from accounts.exchange.passwd_file import read_passwd_file
from accounts.exchange.postfix_tables import (
    read_domain_list,
    read_mailbox_map,
    read_sender_map,
    read_virtual,
)
from accounts.exchange.settling import finish

FileRole: TypeAlias = Literal["passwd", "mailboxes", "senders", "domains", "virtual"]

# by the usual names, in this order; a file of another name is taken by its first line
_ROLES: tuple[tuple[str, FileRole], ...] = (
    (r"passwd|users|userdb|shadow", "passwd"),
    (r"vmailbox|mailbox[-_]?maps|virtual[-_]mailbox(es)?$|^mailboxes|vmaps", "mailboxes"),
    (r"sender|login_maps", "senders"),
    (r"domains|vhosts", "domains"),
    (r"virtual|alias|valias", "virtual"),
)
_PASSWD_LINE = re.compile(rb"^[^\s:#/]+:", re.MULTILINE)
_WITHOUT_PASSWORD = re.compile(rb"^[^\s:#]+::", re.MULTILINE)
_MAILBOX_LINE = re.compile(rb"^[^\s#][^\s]*[ \t]+[^\s@]+/[^\s@]*\r?$", re.MULTILINE)
_SKIPPED = re.compile(r"\.(db|lmdb|cdb|bak|orig|dist|sample)$|~$")


def guess_role(name: str, data: bytes) -> FileRole:
    """Return the role of a file: by its lines for a passwd-file, else by name, then by lines."""
    if _PASSWD_LINE.search(data[:4096]):
        return "passwd"
    last = name.rpartition("/")[2].lower()
    for pattern, role in _ROLES:
        if re.search(pattern, last):
            if role != "passwd" or not data.strip():
                return role
            break
    return "mailboxes" if _MAILBOX_LINE.search(data[:4096]) else "virtual"


def read(files: SourceFiles, *, origin: str | None = None, first_wins: bool = True) -> Reading:
    """Return the accounts of a `virtual` and `passwd` pair, and of the other tables that are there.

    `origin` is Postfix's $myorigin, for names without a domain; without it, they are noted. Of two
    lines with one key the first counts, as postmap does; with `first_wins` false the last, as
    texthash does. Raises `SourceError` if no file is there.
    """
    by_role: dict[FileRole, list[tuple[str, bytes]]] = {}
    for name, data in files.content.items():
        if not _SKIPPED.search(name):
            by_role.setdefault(guess_role(name, data), []).append((name, data))
    if not by_role:
        raise SourceError("no table of Postfix and no passwd-file was found")
    gathering = Gathering(next(iter(files.content)), origin)
    for name, data in by_role.get("domains", ()):
        read_domain_list(gathering, name, data)
    # Dovecot may have the passwords in one file and the quotas and folders in another
    passwd = by_role.get("passwd", [])
    for name, data in sorted(passwd, key=lambda file: len(_WITHOUT_PASSWORD.findall(file[1]))):
        read_passwd_file(gathering, name, data)
    known = set(gathering.mailboxes)
    for name, data in by_role.get("mailboxes", ()):
        read_mailbox_map(gathering, name, data, known)
    for name, data in by_role.get("senders", ()):
        read_sender_map(gathering, name, data)
    for name, data in by_role.get("virtual", ()):
        read_virtual(gathering, name, data)
    if not gathering.mailboxes and "passwd" in by_role:
        gathering.note("decide", "no mailbox was found", SourcePlace(by_role["passwd"][0][0]))
    return finish(gathering, "first" if first_wins else "last")
