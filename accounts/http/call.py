"""Call: a request on its way to the datastore, and its answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

from sqlalchemy import Connection

from accounts.attempts import ClientAddress
from accounts.http.authentication import Authentication
from accounts.http.context import Context
from accounts.http.principals import Principal, Role
from accounts.http.problems import ApiProblem, WrongField
from accounts.passwords import BadPassword, Password, WeakPassword, check_new
from accounts.store.errors import Conflict
from accounts.store.transaction import Actor, Write

T = TypeVar("T")

_TAG = re.compile(r'\s*("[\x21\x23-\x7e]{0,100}")\s*\Z')


def tag_of(found: object) -> str:
    """Return the entity tag of an object (RFC 9110 section 8.8.3), which has its version.

    An object that was removed and added again is a new one. SQLite may give it the same id, so the
    tag includes the time.
    """
    parts = (getattr(found, name, None) for name in ("id", "created", "version"))
    return '"' + "-".join(str(part) for part in parts if part is not None) + '"'


@dataclass(frozen=True, slots=True)
class IfMatch:
    """The condition of If-Match (RFC 9110 section 13.1.1). `tags` is None for ``*``."""

    tags: frozenset[str] | None

    @classmethod
    def parse(cls, header: str | None) -> IfMatch:
        """Parse the field; raises `ApiProblem`.

        Without this condition, a change could silently undo a change by somebody else.
        """
        if header is None:
            raise ApiProblem(
                HTTPStatus.PRECONDITION_REQUIRED,  # RFC 6585 section 3
                "If-Match is required: the ETag of the object to change, or * for any version.",
            )
        if header.strip() == "*":
            return cls(None)
        found = [_TAG.match(part) for part in header[:2000].split(",")]
        if not all(found):
            raise ApiProblem(HTTPStatus.BAD_REQUEST, "If-Match must have ETags in quotes, or *.")
        return cls(frozenset(one.group(1) for one in found if one is not None))

    def expect(self, found: object) -> None:
        """Raise `Conflict` unless the client has seen this version of the object."""
        if self.tags is not None and (there := tag_of(found)) not in self.tags:
            raise Conflict(f"It was changed meanwhile: its ETag is now {there}. Read it again.")


@dataclass(frozen=True, slots=True)
class ApiReply:
    """An answer: a model, or a list of models with the key of the next page."""

    body: Any = None
    tag: str | None = None
    location: str | None = None
    next: str | int | None = None

    @classmethod
    def of(cls, found: object, *, location: str | None = None) -> ApiReply:
        """Return the answer with an object that has a version."""
        return cls(found, tag_of(found), location)


@dataclass(frozen=True, slots=True)
class Call:
    """A request after the checks of its sender, body and parameters.

    `params` are those of the path, `query` and `body` are the models of the operation, and
    `prepared` is the result of its `prepare`.
    """

    context: Context
    authentication: Authentication
    principal: Principal
    client: ClientAddress | None
    params: Mapping[str, str]
    query: Any = None
    body: Any = None
    matching: IfMatch = field(default_factory=lambda: IfMatch(None))
    prepared: Any = None

    @property
    def actor(self) -> Actor:
        """The actor for the audit log."""
        return actor_of(self.principal, self.client)

    @property
    def address(self) -> str:
        """The mailbox in the path or, below ``/me``, that of the principal."""
        if (given := self.params.get("address")) is not None:
            return given
        if self.principal.mailbox is None:
            raise ApiProblem(HTTPStatus.NOT_FOUND, "An administrator has no mailbox.")
        return self.principal.mailbox

    @property
    def administrator(self) -> int | None:
        """The id of an administrator of some domains, to which lists are restricted."""
        return self.principal.administrator if self.principal.role is Role.DOMAINS else None

    @property
    def changes(self) -> dict[str, Any]:
        """The fields of the body that were given."""
        given: dict[str, Any] = self.body.model_dump(exclude_unset=True)
        return given

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Read from the datastore."""
        return await self.context.database.read(work)

    async def write(self, work: Callable[[Write], T]) -> T:
        """Write to the datastore in one transaction."""
        return await self.context.database.write(self.actor, work)

    def after(self, work: Callable[[], None]) -> None:
        """Do something outside the data after they are written."""
        work()

    async def page(
        self, work: Callable[[Connection, int], Sequence[T]], key: Callable[[T], str | int]
    ) -> ApiReply:
        """Return a page of a list: `work` finds a number of objects, `key` is their sort key.

        One object more than a page is requested, to know whether there is another page.
        """
        limit = self.query.limit
        found = await self.read(lambda connection: work(connection, limit + 1))
        more = key(found[limit - 1]) if len(found) > limit else None
        return ApiReply(list(found[:limit]), next=more)

    async def password_hash(self) -> str | None:
        """Return the hash of the password in the body; raises `ApiProblem`. For `prepare`."""
        values = self.changes
        password = values.get("password")
        if not isinstance(password, str):
            return None
        named = {**self.params, **values}
        login = named.get("address") or named.get("login") or self.principal.name
        return await self.hashed(password, str(login))

    async def hashed(self, password: str, login: str) -> str:
        """Return the hash of a new password; raises `ApiProblem` for one that is not allowed."""
        try:
            secret = Password(password)
            check_new(secret, login, self.context.passwords)
        except (BadPassword, WeakPassword) as error:
            text = f"{error}".rstrip(".") + "."
            text = text[:1].upper() + text[1:]
            raise ApiProblem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                f"password: {text}",
                errors=[WrongField("password", text)],
            ) from None
        return await self.context.workers.hash(secret)


def actor_of(principal: Principal, client: ClientAddress | None) -> Actor:
    """Return the name of a principal in the audit log."""
    name = principal.name
    if principal.token is not None:
        name = f"{principal.name} (token {principal.token})"
    return Actor(name, None if client is None else str(client))
