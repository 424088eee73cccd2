"""The API as tests use it: the ASGI application, called directly, over a datastore of its own."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from accounts.attempt_settings import AttemptSettings
from accounts.attempts import Attempts
from accounts.directory import administrators, audit, domains, mailboxes, tokens
from accounts.directory.audit import AuditEntry
from accounts.http.application import application
from accounts.http.context import FixedContext
from accounts.http.settings import HttpSettings
from accounts.journal.journal import MailJournal
from accounts.journal.settings import JournalSettings
from accounts.lookup.ask import AppPasswordRow, Ask, DomainRow, LoginRow, RowAnswer
from accounts.passwords import Password, PasswordSettings, PasswordWorkers, hash_password
from accounts.store.database import Database
from accounts.store.seal import SecretSeal
from accounts.store.settings import DatabaseSettings
from tests.unit.accounts.desk import Desk
from tests.unit.accounts.http.stub_holders import StubHolders

CHEAP = PasswordSettings(memory=8192, passes=1)
SEAL = SecretSeal([b"k" * 32])
CLIENT = "192.0.2.7"
RULE = {"match": "always", "conditions": [], "actions": [{"kind": "discard"}]}
SECRET = "correct horse staple"
HASH = hash_password(Password(SECRET), CHEAP)


@dataclass
class Answered:
    """An answer of the API."""

    status: int
    headers: dict[str, str]
    octets: bytes
    json: Any = None
    set_cookies: list[str] = field(default_factory=list)

    @property
    def tag(self) -> dict[str, str]:
        """If-Match for the object of the answer."""
        return {"If-Match": self.headers["etag"]}


@dataclass
class Who:
    """Somebody who sends requests."""

    authorization: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


Senders = tuple[Who, Who, Who]
"""The global administrator, that of the first domain, and the mailbox there."""


def login(name: str, password: str = SECRET) -> Who:
    encoded = base64.b64encode(f"{name}:{password}".encode()).decode()
    return Who(f"Basic {encoded}")


def asking(database: Database) -> Any:
    """Return the questions of a login, answered by the directory."""

    def answer(connection: Connection, ask: Ask) -> RowAnswer:
        if ask.table == "domain":
            found = {one.name: one for one in domains.find(connection, limit=1000)}
            domain = found.get(ask.key)
            if domain is None:
                return None
            return DomainRow(domain.name, domain.alias_of, domain.catch_all, domain.enabled)
        found_boxes = {one.address: one for one in mailboxes.find(connection, limit=1000)}
        box = found_boxes.get(ask.key)
        if box is None:
            return None
        return LoginRow(
            box.id,
            box.address,
            box.display_name,
            box.password,
            box.quota,
            box.enabled,
            box.may_login,
            box.may_send,
            box.may_receive,
            box.store,
            (AppPasswordRow(1, "imap", HASH, "imap", None),)
            if box.address == "app@a.example"
            else (),
        )

    async def ask(asks: tuple[Ask, ...], /) -> tuple[RowAnswer, ...]:
        return await database.read(lambda c: tuple(answer(c, one) for one in asks))

    return ask


class Api:
    """Two domains with a mailbox each, an administrator of all, and one of the first domain.

    They are added unless the datastore has them: then `senders` are those of its tokens.
    """

    def __init__(
        self, settings: DatabaseSettings, senders: Senders | None = None, **bounds: Any
    ) -> None:
        self.desk = Desk(settings)
        self.workers = PasswordWorkers(CHEAP)
        self.attempts = Attempts(AttemptSettings(hold=0), b"k" * 32)
        self.journal_settings = JournalSettings()
        self.journal = MailJournal(
            lambda: self.journal_settings, settings, lambda: "+", self.desk.clock
        )
        self.quarantine = StubHolders()
        self.context = FixedContext(
            self.desk.database,
            SEAL,
            self.workers,
            self.attempts,
            CHEAP,
            HttpSettings(**bounds),
            self.desk.clock,
            asking(self.desk.database),
            journal=self.journal,
            quarantine=self.quarantine,
        )
        self.app = application(self.context)
        # tokens cost no hash
        self.root, self.ada, self.anna = senders or self.fill()

    def fill(self) -> Senders:
        """Add what the tests begin with to an empty datastore."""
        self.desk.domain("a.example")
        self.desk.domain("b.example")
        self.desk.mailbox("anna@a.example", password=HASH)
        self.desk.mailbox("bob@b.example", password=HASH)
        self.desk.write(lambda w: administrators.add(w, "root", role="global", password=HASH))
        self.desk.write(
            lambda w: administrators.add(w, "ada", domains=["a.example"], password=HASH)
        )
        return (
            self.token(["all:write"], administrator="root"),
            self.token(["all:write"], administrator="ada"),
            self.token(["all:write"], mailbox="anna@a.example"),
        )

    def token(self, scopes: list[str], **owner: Any) -> Who:
        _, text = self.desk.write(lambda w: tokens.add(w, "test", scopes=scopes, **owner))
        return Who(f"Bearer {text}")

    def close(self) -> None:
        self.workers.close()
        self.desk.run(self.journal.close())
        self.desk.close()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        who: Who | None = None,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
        query: str = "",
        client: str | None = CLIENT,
        root: str = "/api/v1",
    ) -> Answered:
        """Call the application. `path` is as after unquoting; `raw` is a body as octets."""
        octets = raw if raw is not None else (b"" if body is None else json.dumps(body).encode())
        fields = {"host": "mail.example", "content-length": str(len(octets))}
        if octets:
            fields["content-type"] = "application/json"
        sender = self.root if who is None else who
        if sender.authorization is not None:
            fields["authorization"] = sender.authorization
        fields |= {name.lower(): value for name, value in (headers or {}).items()}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": root + path,
            "raw_path": b"",
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(n.encode(), v.encode("latin-1")) for n, v in fields.items()],
            "client": None if client is None else (client, 4711),
            "server": ("mail.example", 80),
            "state": {},
        }
        sent: list[Any] = []
        waiting = [{"type": "http.request", "body": octets, "more_body": False}]

        async def receive() -> Any:
            return waiting.pop(0) if waiting else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        self.desk.run(self.app(scope, receive, send))
        start, *rest = sent
        answered = Answered(
            start["status"],
            {name.decode(): value.decode() for name, value in start["headers"]},
            b"".join(one.get("body", b"") for one in rest),
            set_cookies=[v.decode() for n, v in start["headers"] if n == b"set-cookie"],
        )
        if answered.octets and "json" in answered.headers["content-type"]:
            answered.json = json.loads(answered.octets)
        return answered

    def audit(self, **conditions: Any) -> list[AuditEntry]:
        return self.desk.read(lambda c: audit.find(c, **conditions))

    def last(self) -> AuditEntry:
        """The latest entry of the audit log."""
        return self.audit(limit=1)[0]


def check_problem(answered: Answered, status: int, text: str = "") -> None:
    """Check that an answer is an error as RFC 9457 has it, with a sentence."""
    assert answered.status == status, (answered.status, answered.octets[:500])
    assert answered.headers["content-type"] == "application/problem+json"
    assert answered.json["status"] == status
    assert answered.json["type"] == "about:blank"
    assert answered.json["detail"].endswith("."), answered.json
    assert answered.json["detail"].isprintable()
    assert text in answered.json["detail"], answered.json
