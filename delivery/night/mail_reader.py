"""Reader of the mail of one user by IMAP, as a master user of Dovecot.

A message is read as it is, to the octet: doveadm's API would replace octets that are not UTF-8, and
such a lesson could not be forgotten again. Reading leaves messages unread (BODY.PEEK).
"""

from __future__ import annotations

import contextlib
import imaplib
import re
import time
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Self

from gatepost.listen import Inet

TIMEOUT: Final = 60.0
"""Seconds for one answer of the server."""
WINDOW: Final = 20_000
"""UIDs that are searched at once, the newest first."""
AT_ONCE: Final = 200
"""Messages whose fields are fetched at once."""
MAX_FOLDERS: Final = 2000
"""Folders of one user that are looked at."""

_LISTED: Final = re.compile(rb'\(([^)]*)\) (?:"(?:\\.|[^"\\])*"|NIL) (.*)\Z', re.DOTALL)
_UID: Final = re.compile(rb"\bUID (\d{1,10})")
# RFC 9051 section 9, date-month; strftime would ask the locale
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


class MailReaderError(Exception):
    """The server refused something or did not answer; the text says what."""


class MailFolder(NamedTuple):
    """A folder: its name as it is quoted in commands, and its attributes in lower case."""

    quoted: str
    attributes: frozenset[str]

    @property
    def name(self) -> str:
        """Return the name without quotes, in the form of IMAP."""
        text = self.quoted
        if text.startswith('"'):
            text = re.sub(r"\\(.)", r"\1", text[1:-1])
        return text


class MailReader:
    """One connection. Every method raises `MailReaderError`."""

    def __init__(self, address: Inet, user: str, master: str, password: bytes) -> None:
        self._uidnext = 1
        try:
            self._imap = imaplib.IMAP4(address.host, address.port, TIMEOUT)
        except (OSError, imaplib.IMAP4.error) as error:
            raise MailReaderError(f"IMAP at {address}: {error}") from None
        identity = b"\0".join((user.encode(), master.encode(), password))
        try:
            with _told("the login is refused"):
                # RFC 4616: the mailbox first, then whose password it is
                self._imap.authenticate("PLAIN", lambda _: identity)
                # more are told after the login
                _, words = self._imap.capability()
            self._capabilities = frozenset(b" ".join(words).upper().split())
        except MailReaderError:
            self.close()
            raise

    def folders(self) -> list[MailFolder]:
        """Return the folders that can be opened."""
        with _told("LIST"):
            _, lines = self._imap.list('""', '"*" RETURN (SPECIAL-USE)')
        found = []
        for line in lines[:MAX_FOLDERS]:
            head, literal = line if isinstance(line, tuple) else (line, None)
            if head is None or (match := _LISTED.match(head)) is None:
                continue
            attributes = frozenset(match[1].decode("ascii", "replace").lower().split())
            if not attributes & {"\\noselect", "\\nonexistent"}:
                found.append(MailFolder(_quote(match[2], literal), attributes))
        return found

    def open(self, folder: MailFolder) -> None:
        """Open a folder for the next commands."""
        with _told(f"SELECT {folder.name}"):
            status, _ = self._imap.select(folder.quoted)
            if status != "OK":
                raise MailReaderError(f"SELECT {folder.name} is refused")
            _, values = self._imap.response("UIDNEXT")
        texts = [value for value in values or () if isinstance(value, bytes)]
        self._uidnext = int(texts[-1]) if texts else 1

    def search(self, query: str, limit: int, age: float = 0.0) -> Iterator[int]:
        """Yield the UIDs of at most `limit` messages that match, the newest first.

        `age` is in seconds: the messages have been in this folder for so long, in whole days
        (RFC 8514).
        """
        if age:
            day = time.gmtime(time.time() - age)
            date = f"{day.tm_mday}-{_MONTHS[day.tm_mon - 1]}-{day.tm_year}"
            kind = "SAVEDBEFORE" if b"SAVEDATE" in self._capabilities else "BEFORE"
            query = f"{query} {kind} {date}"
        last = self._uidnext - 1
        while last > 0 and limit > 0:
            first = max(1, last - WINDOW + 1)
            with _told("SEARCH"):
                status, found = self._imap.uid("SEARCH", f"UID {first}:{last} {query}")
                if status != "OK":
                    raise MailReaderError(f"SEARCH is refused: {found!r}"[:200])
            uids = sorted((int(word) for word in (found[0] or b"").split()), reverse=True)
            yield from uids[:limit]
            limit -= len(uids)
            last = first - 1

    def fields(self, uids: Sequence[int], name: str) -> dict[int, str]:
        """Return the value of a header field, unfolded, of the messages that have it.

        A search for a field would ask the full-text index, which knows words and not prefixes.
        """
        found = {}
        for start in range(0, len(uids), AT_ONCE):
            several = ",".join(map(str, uids[start : start + AT_ONCE]))
            with _told("FETCH"):
                _, parts = self._imap.uid("FETCH", several, f"(BODY.PEEK[HEADER.FIELDS ({name})])")
            for part in parts:
                if isinstance(part, tuple) and (match := _UID.search(part[0])):
                    value = part[1].decode("ascii", "replace").partition(":")[2]
                    if value.strip():
                        found[int(match[1])] = " ".join(value.split())
        return found

    def read(self, uid: int, limit: int) -> bytes | None:
        """Return the first `limit` octets of a message; None if it is gone."""
        with _told("FETCH"):
            _, parts = self._imap.uid("FETCH", str(uid), f"(BODY.PEEK[]<0.{limit}>)")
        return next((part[1] for part in parts if isinstance(part, tuple)), None)

    def mark(self, uid: int, add: str, remove: str = "") -> None:
        """Set a keyword of a message, and remove another one; either may be empty."""
        for sign, keyword in (("+", add), ("-", remove)):
            if not keyword:
                continue
            with _told("STORE"):
                status, answer = self._imap.uid(
                    "STORE", str(uid), f"{sign}FLAGS.SILENT", f"({keyword})"
                )
            if status != "OK":
                raise MailReaderError(f"a keyword is refused: {answer!r}"[:200])

    def close(self) -> None:
        """End the session."""
        with contextlib.suppress(OSError, imaplib.IMAP4.error):
            self._imap.logout()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, imaplib.IMAP4.error, ValueError) as error:
        raise MailReaderError(f"IMAP: {what}: {str(error)[:200]}") from None


def _quote(word: bytes, literal: bytes | None) -> str:
    """Return a name of LIST so that it can stand in a command."""
    if literal is not None:
        text = literal.decode("ascii", "surrogateescape")
    else:
        text = word.decode("ascii", "surrogateescape")
        if text.startswith('"'):
            return text
    if any(char in text for char in "\r\n\0"):
        raise MailReaderError("a folder has a line break in its name")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def is_below(name: str, folders: Sequence[str]) -> bool:
    """Return whether a folder is one of these, or below one of them."""
    return any(name == one or name.startswith((f"{one}/", f"{one}.")) for one in folders)
