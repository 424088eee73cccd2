"""fetchmail's run control file, as far as it says where mail is fetched from (fetchmail(1))."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from accounts.exchange.gathering import Gathering
from accounts.exchange.notes import SourcePlace

MOST_TOKENS = 200_000
"""Words of one file."""

_TOKEN = re.compile(
    r"(?:[\s,;=]++|#[^\n]*+)*+(?:\"((?:[^\"\\]++|\\.)*+)\"|'((?:[^'\\]++|\\.)*+)'|([^\s,;=\"'#]++)|(.))",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_DELIVER = re.compile(r"\bdeliver\b[^|;&]*?\s-d\s+([^\s\"']+)")
_NOISE = frozenset({"and", "with", "has", "wants", "options", "here", "there", "no_such"})
_PORTS = {("imap", True): 993, ("imap", False): 143, ("pop3", True): 995, ("pop3", False): 110}
_ONE_ARGUMENT = frozenset(
    {"auth", "authenticate", "timeout", "envelope", "qvirtual", "interface", "monitor", "plugin"}
    | {
        "plugout",
        "principal",
        "esmtpname",
        "esmtppassword",
        "tracepolls",
        "smtphost",
        "smtpaddress",
    }
    | {"smtpname", "antispam", "batchlimit", "fetchlimit", "fetchsizelimit", "fastuidl", "expunge"}
    | {"limit", "warnings", "preconnect", "postconnect", "sslproto", "sslcert", "sslkey", "bsmtp"}
    | {"sslcertpath", "sslcertfile", "sslcommonname", "sslfingerprint", "properties", "aka"}
    | {"localdomains", "bad-header", "retrieve-error", "forcecr", "interval"}
) - {"forcecr", "tracepolls"}
_NOTED = {
    "mda": "mda is ignored: Gatepost delivers the mail itself",
    "preconnect": "preconnect is not run",
    "postconnect": "postconnect is not run",
    "plugin": "plugin is not run",
    "sslcertpath": "the system's own certificates are used",
    "sslcertfile": "the system's own certificates are used",
    "sslfingerprint": "sslfingerprint is ignored: the certificate is checked by its name",
    "limit": "messages of any size are fetched",
    "antispam": "antispam is not supported",
}


@dataclass(slots=True)
class _Account:
    """Settings of one `user` of one `poll`."""

    place: SourcePlace
    host: str = ""
    skipped: bool = False
    words: dict[str, str] = field(default_factory=dict)
    local: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    flags: dict[str, bool] = field(default_factory=dict)
    noted: set[str] = field(default_factory=set)

    def copy(self, place: SourcePlace) -> _Account:
        """Return an account that starts with the options of this one."""
        return replace(
            self,
            place=place,
            words=dict(self.words),
            local=list(self.local),
            folders=list(self.folders),
            flags=dict(self.flags),
            noted=set(self.noted),
        )


class _Tokens:
    """The words of the file with one word of look-ahead."""

    def __init__(self, file: str, text: str) -> None:
        self._file, self._text = file, text
        self._position, self._line, self._count = 0, 1, 0
        self._next = self._read()

    def __bool__(self) -> bool:
        return self._next is not None

    @property
    def place(self) -> SourcePlace:
        """Return the place of the next word."""
        return SourcePlace(self._file, self._line)

    def peek(self) -> str:
        """Return the next word in lower case; empty for a quoted one and at the end."""
        return self._next[0].lower() if self._next is not None and not self._next[1] else ""

    def take(self) -> str:
        """Return the next word unchanged, and advance."""
        word = self._next[0] if self._next is not None else ""
        self._next = self._read()
        return word

    def _read(self) -> tuple[str, bool] | None:
        match = _TOKEN.match(self._text, self._position)
        self._count += 1
        if match is None or self._count > MOST_TOKENS:
            return None
        start = match.start(match.lastindex or 0)
        self._line += self._text.count("\n", self._position, start)
        self._line += self._text.count("\n", start, match.end())
        self._position = match.end()
        double, single, word, other = match.groups()
        if word is not None or other is not None:
            return (word if word is not None else other), False
        return _ESCAPE.sub(lambda one: one[1], double if double is not None else single), True


def read_fetchmailrc(
    gathering: Gathering, file: str, data: bytes, owner: str | None = None
) -> None:
    """Add the accounts of a fetchmailrc.

    Mail goes to the mailbox after `is`, or after `-d` in an mda of Dovecot, otherwise to `owner`.
    Without TLS fetchmail takes STARTTLS when it is offered; here it is required. Programs are
    never run.
    """
    text = data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace")
    for account in _accounts(_Tokens(file, text)):
        _add(gathering, account, owner)


def _accounts(tokens: _Tokens) -> Iterator[_Account]:
    defaults = _Account(tokens.place)
    server = defaults
    user: _Account | None = None
    in_defaults = False
    while tokens:
        word, place = tokens.peek(), tokens.place
        if word == "set":
            tokens.take()
            if tokens.take().lower() == "daemon":
                defaults.words["interval"] = tokens.take()
        elif word in ("poll", "server", "skip", "defaults"):
            if user is not None:
                yield user
            elif server.host and not in_defaults:
                yield server
            user = None
            tokens.take()
            in_defaults = word == "defaults"
            if in_defaults:
                server = defaults
            else:
                server = defaults.copy(place)
                server.host, server.skipped = tokens.take(), word == "skip"
        elif word in ("user", "username"):
            if user is not None:
                yield user
            tokens.take()
            user = server.copy(place)
            user.words["user"] = tokens.take()
            if tokens.peek() == "here":
                user.local = [user.words.pop("user")]
        else:
            _option(tokens, user if user is not None else server)
    if user is not None:
        yield user
    elif server.host and not in_defaults:
        yield server


def _option(tokens: _Tokens, account: _Account) -> None:
    word = tokens.peek()
    tokens.take()
    negative = word == "no"
    if negative:
        word = tokens.peek()
        tokens.take()
    elif word.startswith("no") and word[2:] in ("keep", "fetchall", "idle", "rewrite"):
        word, negative = word[2:], True
    if word in ("proto", "protocol"):
        account.words["protocol"] = tokens.take().lower()
    elif word in ("port", "service", "via"):
        account.words[word] = tokens.take()
    elif word in ("pass", "password"):
        account.words["password"] = tokens.take()
    elif word in ("is", "to"):
        names = [tokens.take()]
        while tokens and tokens.peek() not in _KEY_WORDS and "@" in tokens.peek():
            names.append(tokens.take())
        if tokens.peek() == "there":
            account.words["user"] = names[0]
        else:
            account.local = names
    elif word in ("folder", "folders"):
        account.folders.append(tokens.take())
        while tokens and tokens.peek() not in _KEY_WORDS and tokens.peek():
            account.folders.append(tokens.take())
    elif word in ("ssl", "keep"):
        account.flags[word] = not negative
    elif word == "mda":
        program = tokens.take()
        if match := _DELIVER.search(program):
            account.words["mda"] = match[1]
        if match is None or "fdm" in program:
            account.noted.add("mda")
    elif word in _ONE_ARGUMENT and not negative:
        tokens.take()
        if word in _NOTED:
            account.noted.add(word)


_KEY_WORDS = (
    _NOISE
    | _ONE_ARGUMENT
    | {
        "poll",
        "server",
        "skip",
        "defaults",
        "set",
        "user",
        "username",
        "pass",
        "password",
        "is",
        "to",
    }
    | {
        "folder",
        "folders",
        "ssl",
        "keep",
        "nokeep",
        "fetchall",
        "nofetchall",
        "mda",
        "proto",
        "protocol",
    }
    | {
        "port",
        "service",
        "via",
        "no",
        "idle",
        "noidle",
        "rewrite",
        "norewrite",
        "dns",
        "uidl",
        "flush",
    }
    | {"stripcr", "forcecr", "pass8bits", "mimedecode", "dropstatus", "dropdelivered", "sslcertck"}
    | {"checkalias", "tracepolls", "*"}
)


def _add(gathering: Gathering, account: _Account, owner: str | None) -> None:
    place = account.place
    host = account.words.get("via", account.host).rstrip(".")
    what = f"account at {host}"
    protocol = {"apop": "pop3", "pop3": "pop3", "imap": "imap"}.get(
        account.words.get("protocol", "auto")
    )
    login, secret = account.words.get("user"), account.words.get("password")
    local = account.local or ([account.words["mda"]] if "mda" in account.words else [])
    if len(local) > 1 or "*" in local:
        gathering.note("left out", f"{what}: mail for several users is not supported", place)
    elif protocol is None:
        gathering.note("left out", f"{what}: the protocol is neither IMAP nor POP3", place)
    elif not login or not secret:
        gathering.note("left out", f"{what}: the user or the password is missing", place)
    elif not local and owner is None:
        gathering.note("left out", f"{what}: no local mailbox is named", place)
    else:
        mailbox = gathering.own_address(local[0] if local else str(owner), place, what)
        if mailbox is not None:
            _add_to(gathering, account, mailbox, host, protocol)


def _add_to(
    gathering: Gathering, account: _Account, mailbox: str, host: str, protocol: str
) -> None:
    place, words = account.place, account.words
    what = f"account {words['user']} at {host}"
    ssl = account.flags.get("ssl", False)
    port = words.get("port", words.get("service", str(_PORTS[protocol, ssl])))
    number = {"imaps": 993, "imap": 143, "pop3s": 995, "pop3": 110}.get(port.lower())
    circle = words["user"] == mailbox and host.endswith(mailbox.rpartition("@")[2])
    implicit = ssl or port in ("993", "995", "imaps", "pop3s")
    values: Mapping[str, Any] = {
        "protocol": protocol,
        "host": host.lower(),
        "port": number or (int(port) if port.isascii() and port.isdigit() and len(port) < 6 else 0),
        "tls": "implicit" if implicit else "starttls",
        "login": words["user"],
        "secret": {"clear": words["password"]},
        "folder": account.folders[0] if account.folders else "INBOX",
        "interval": _seconds(words.get("interval", "")),
        "keep": account.flags.get("keep", False),
        "enabled": not (account.skipped or circle),
    }
    if circle:
        text = f"{what}: {mailbox} seems to fetch from this server; the account is disabled"
        gathering.note("decide", text, place)
    if not implicit:
        gathering.note("changed", f"{what}: STARTTLS is required now", place)
    if len(account.folders) > 1:
        gathering.note("left out", f"{what}: only the first of its folders is fetched", place)
    for word in sorted(account.noted):
        gathering.note("changed", f"{what}: {_NOTED[word]}", place)
    gathering.remote_account(mailbox, place, **values)


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 7):
        return 600
    return min(max(int(text), 60), 7 * 86_400)
