"""Gathering of a reader's findings, and the rules that make a document of them.

Other systems let an alias and a mailbox have one name, targets lack a domain, and addresses stand
twice. A gathering settles each such case in the way in which the other system delivers mail, and
notes it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import ValidationError

from accounts.address import AccountAddressError, parse_domain, parse_mailbox_address
from accounts.exchange.document import (
    AdministratorEntry,
    AppPasswordEntry,
    DocumentPart,
    RemoteAccountEntry,
    SieveRuleEntry,
    problems,
)
from accounts.exchange.hashes import plain_text, take_hash
from accounts.exchange.notes import Note, NoteKind, Script, SourcePlace
from gatepost.printable import escape

MOST_NOTES = 20_000
"""Notes of one reading; the rest is counted."""

LONGEST_NAME = 200
LONGEST_TEXT = 1000
"""Characters of a display name and of a description."""

_STORED = re.compile(r"(\{[A-Za-z0-9.-]{2,40}\}|\$[A-Za-z0-9-]{1,20}\$)[^'\",;]*")
"""A stored password within a text."""

_M = TypeVar("_M", bound=DocumentPart)


@dataclass(slots=True)
class Route:
    """A line of a table of aliases: a key and its targets, as they were written."""

    key: str
    targets: tuple[str, ...]
    place: SourcePlace
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Held:
    """An object that is not finished: its fields and where it was found."""

    place: SourcePlace
    fields: dict[str, Any] = field(default_factory=dict)


def words_of(field_name: str) -> str:
    """Return the name of a field as words."""
    return field_name.replace("_", " ")


class Gathering:
    """Findings of a reader so far. `origin` completes addresses without a domain."""

    def __init__(self, source: str, origin: str | None = None) -> None:
        self.source = SourcePlace(source)
        self.origin = origin
        self.domains: dict[str, Held] = {}
        self.mailboxes: dict[str, Held] = {}
        self.aliases: dict[str, Held] = {}
        self.routes: list[Route] = []
        self.whole_domains: dict[str, SourcePlace] = {}
        """Where the catch-all of a domain was found, or that it is an alias."""
        self.parts: dict[tuple[str, str], dict[str, Any]] = {}
        """By mailbox and field."""
        self.part_places: dict[tuple[str, str], SourcePlace] = {}
        """Where the first of them was found."""
        self.administrators: dict[str, AdministratorEntry] = {}
        self._notes: list[Note] = []
        self._more_notes = 0
        self.scripts: list[Script] = []

    def note(self, kind: NoteKind, text: str, place: SourcePlace | None = None) -> None:
        """Note what differs; beyond `MOST_NOTES` notes are only counted.

        A line of a file that is not what its name says may have a password where a name is
        expected: what looks like one is taken out of the text.
        """
        if len(self._notes) < MOST_NOTES:
            text = escape(_STORED.sub(r"\1...", text))
            self._notes.append(Note(kind, text, place or self.source))
        else:
            self._more_notes += 1

    def left_out(self, place: SourcePlace, reason: str) -> None:
        """Note a place that cannot be read, with the signature that readers of lines expect."""
        self.note("left out", reason, place)

    def domain(self, name: str, place: SourcePlace, **fields: Any) -> str | None:
        """Add a domain, or fields to one that is there; return its name, None for no domain."""
        try:
            name = parse_domain(name.strip())
        except AccountAddressError as error:
            self.note("left out", f"domain: {error}", place)
            return None
        if "description" in fields:
            fields["description"] = self.words(fields["description"], f"domain {name}", place)
        held = self.domains.setdefault(name, Held(place))
        held.fields.update(fields)
        return name

    def mailbox(self, address: str, place: SourcePlace, **fields: Any) -> str | None:
        """Add a mailbox and its domain; return its address, None if it was left out.

        `password` is the stored text of the other system. One that cannot be used is noted, and
        nobody can log in to the mailbox. The first of two mailboxes of the same address counts.
        """
        parsed = self.own_address(address, place, "mailbox")
        if parsed is None:
            return None
        if parsed in self.mailboxes:
            first = self.mailboxes[parsed].place
            self.note("left out", f"mailbox {parsed} appears twice; {first} is used", place)
            return None
        if "password" in fields:
            fields["password"] = self.password(fields["password"], f"mailbox {parsed}", place)
        if "display_name" in fields:
            text = fields["display_name"]
            fields["display_name"] = self.words(text, f"mailbox {parsed}", place, LONGEST_NAME)
        self.domain(parsed.rpartition("@")[2], place)
        self.mailboxes[parsed] = Held(place, fields)
        return parsed

    def own_address(self, text: str, place: SourcePlace, what: str) -> str | None:
        """Return an address that can be one of ours; note the reason otherwise."""
        text = text.strip()
        if "@" not in text and self.origin and text:
            text = f"{text}@{self.origin}"
        try:
            return str(parse_mailbox_address(text))
        except AccountAddressError as error:
            self.note("left out", f"{what}: {error}", place)
            return None

    def words(self, text: str, of: str, place: SourcePlace, longest: int = LONGEST_TEXT) -> str:
        """Return text for people as one line that can be printed; note it if it was cut."""
        if not text.isprintable():
            text = "".join(
                one if one.isprintable() else " " if one.isspace() else "\N{REPLACEMENT CHARACTER}"
                for one in text
            )
        text = unicodedata.normalize("NFC", text[: 4 * longest]).strip()
        if len(text) > longest:
            self.note("changed", f"{of}: a text was cut to {longest} characters", place)
        return text[:longest].strip()

    def password(self, stored: str | None, of: str, place: SourcePlace) -> str | None:
        """Return the stored password with its scheme; note one that is useless or in clear text."""
        taken = take_hash(stored or "")
        if taken.hash is None:
            self.note("changed", f"{of}: {taken.reason}; nobody can log in", place)
        elif plain_text(taken.hash) is not None:
            self.note(
                "changed", f"{of}: the password is in clear text; the import hashes it", place
            )
        return taken.hash

    def route(self, key: str, targets: Iterable[str], place: SourcePlace, **fields: Any) -> None:
        """Add a line of a table of aliases; `settling.finish` decides what it becomes."""
        if "description" in fields:
            fields["description"] = self.words(fields["description"], f"alias {key[:100]}", place)
        listed = tuple(one for target in targets if (one := target.strip()))
        self.routes.append(Route(key.strip(), listed, place, fields))

    def right(self, mailbox: str, sender: str, place: SourcePlace) -> None:
        """Let a mailbox send as an address, or as all of a domain (`@example.org`)."""
        owner = self.own_address(mailbox, place, f"sender right for {sender}")
        if owner is None:
            return
        try:
            if sender.startswith("@"):
                sender = "@" + parse_domain(sender[1:])
            else:
                sender = str(parse_mailbox_address(sender))
        except AccountAddressError as error:
            self.note("left out", f"sender right of {owner}: {error}", place)
            return
        if sender != owner:
            self._part(owner, "rights", sender, sender, place)

    def app_password(
        self, mailbox: str, name: str, stored: str, place: SourcePlace, **fields: Any
    ) -> None:
        """Add an app password; one whose hash cannot be used is left out."""
        taken = take_hash(stored)
        name = name.strip() or "app password"
        if taken.hash is None:
            self.note("left out", f"app password {name!r} of {mailbox}: {taken.reason}", place)
            return
        while name in self.parts.get((mailbox, "app_passwords"), {}):
            name += " again"
        values = {"name": name, "password": taken.hash, **fields}
        if one := self.make(AppPasswordEntry, values, f"app password {name!r} of {mailbox}", place):
            self._part(mailbox, "app_passwords", name, one, place)

    def remote_account(self, mailbox: str, place: SourcePlace, **fields: Any) -> None:
        """Add an account to fetch from."""
        what = f"remote account of {mailbox}"
        if one := self.make(RemoteAccountEntry, fields, what, place):
            self._part(mailbox, "remote_accounts", one.key, one, place)

    def listed_sender(
        self, mailbox: str, field_name: str, pattern: str, place: SourcePlace
    ) -> None:
        """Add a sender to `allowed_senders` or `blocked_senders` of a mailbox."""
        text = pattern.removeprefix("*@")
        try:
            if "@" not in text or text.startswith("@"):
                sender = "@" + parse_domain(text.removeprefix("@"))
            else:
                sender = str(parse_mailbox_address(text))
        except AccountAddressError as error:
            what = f"{words_of(field_name)} of {mailbox}"
            self.note("left out", f"{what}: {pattern!r}: {error}", place)
            return
        self._part(mailbox, field_name, sender, sender, place)

    def rule(self, mailbox: str, place: SourcePlace, **fields: Any) -> None:
        """Add a Sieve rule."""
        if one := self.make(SieveRuleEntry, fields, f"rule of {mailbox}", place):
            self._part(mailbox, "sieve_rules", one.name, one, place)

    def add_script(self, script: Script, place: SourcePlace) -> None:
        """Keep a Sieve script aside and note it."""
        self.scripts.append(script)
        self.note(
            "left out",
            f"Sieve script {script.name!r} of {script.mailbox}: the datastore has rules only; "
            "upload the "
            "script with ManageSieve",
            place,
        )

    def add_administrator(self, login: str, place: SourcePlace, **fields: Any) -> None:
        """Add an administrator; the first of the same login counts."""
        if login in self.administrators:
            self.note("left out", f"administrator {login} appears twice", place)
            return
        if "password" in fields:
            fields["password"] = self.password(fields["password"], f"administrator {login}", place)
        values = {"login": login, **fields}
        if one := self.make(AdministratorEntry, values, f"administrator {login}", place):
            self.administrators[login] = one

    def make(
        self, model: type[_M], values: dict[str, Any], what: str, place: SourcePlace
    ) -> _M | None:
        """Return an object of the document; note the reason if the values are not allowed."""
        try:
            return model.model_validate(values)
        except ValidationError as error:
            self.note("left out", f"{what}: {'; '.join(problems(error))}", place)
            return None

    def _part(self, mailbox: str, field_name: str, key: str, part: Any, place: SourcePlace) -> None:
        parts = self.parts.setdefault((mailbox, field_name), {})
        self.part_places.setdefault((mailbox, field_name), place)
        if key in parts:
            what = f"{words_of(field_name)} of {mailbox}"
            self.note("left out", f"{what}: {key} appears twice", place)
        else:
            parts[key] = part

    def notes(self) -> tuple[Note, ...]:
        """Return the notes, and how many there were beyond `MOST_NOTES`."""
        if not self._more_notes:
            return tuple(self._notes)
        more = Note("decide", f"{self._more_notes} more notes are not shown", self.source)
        return (*self._notes, more)
