"""Kind of object: its names, key and functions, and the operations made from them.

The commands are made from the same table; see `accounts.cli.noun`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from accounts.http.call import ApiReply, Call
from accounts.http.models.base import RequestModel, ResponseModel
from accounts.http.operation import PARAMETER, Operation, Params, Reach, path_targets
from accounts.http.paths import location
from accounts.store.transaction import Write


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object.

    `noun` is part of the names of operations and of entries in the audit log. `where` is the path
    of all objects, `one` that of one behind it. `named` are the fields of a new one that `create`
    takes by position. `place` returns the segments of the path of an object.

    The functions are those of a module of `accounts.directory`: `fetch(connection, *key)`,
    `search(connection, call, limit)`, `create(write, *named, **values)` behind the key of the owner
    in the path, `alter(write, *key, version, **values)` and `delete(write, *key, version)`, without
    a version where objects have none. `call.context.seal` comes before the key if `is_sealed`.
    `order` is the key that a list is sorted by; without it a list has no pages.
    """

    noun: str
    nouns: str
    article: str
    area: str
    where: str
    one: str
    gives: type[ResponseModel]
    place: Callable[[Any], tuple[str | int, ...]]
    search: Callable[..., Any]
    fetch: Callable[..., Any] | None = None
    create: Callable[..., Any] | None = None
    alter: Callable[..., Any] | None = None
    delete: Callable[..., Any] | None = None
    named: tuple[str, ...] = ()
    order: Callable[[Any], str | int] | None = None
    takes: type[RequestModel] | None = None
    changes: type[RequestModel] | None = None
    query: type[RequestModel] | None = None
    reach: Reach = Reach.DOMAIN
    is_versioned: bool = True
    is_sealed: bool = False
    touches: Callable[[Params, Any], Iterable[str]] = path_targets

    # the operations

    def list(self, **more: Any) -> Operation:
        """Return the operation that lists objects."""
        made = {
            "method": "GET",
            "path": self.where,
            "summary": f"List {self.nouns}",
            "handle": self.find,
            "query": self.query,
            "is_list": True,
        }
        return self._operation("list", made | more, noun=self.where.rpartition("/")[2])

    def read(self, **more: Any) -> Operation:
        """Return the operation that reads an object."""
        made = {"method": "GET", "summary": f"Read {self._a}", "handle": self.get}
        return self._operation("get", made | more)

    def add(self, **more: Any) -> Operation:
        """Return the operation that adds an object."""
        made = {
            "method": "POST",
            "path": self.where,
            "summary": f"Add {self._a}",
            "handle": self.make,
            "takes": self.takes,
            "status": HTTPStatus.CREATED,
            "touches": self.touches,
        }
        return self._operation("add", made | more)

    def change(self, **more: Any) -> Operation:
        """Return the operation that changes fields of an object."""
        made = {
            "method": "PATCH",
            "summary": f"Change {self._a}",
            "handle": self.modify,
            "takes": self.changes,
            "matches": True,
        }
        return self._operation("change", made | more)

    def remove(self, **more: Any) -> Operation:
        """Return the operation that removes an object."""
        made = {
            "method": "DELETE",
            "summary": f"Remove {self._a}",
            "handle": self.discard,
            "gives": None,
            "status": HTTPStatus.NO_CONTENT,
            "matches": self.is_versioned,
        }
        return self._operation("remove", made | more)

    def act(self, name: str, **more: Any) -> Operation:
        """Return another operation on an object, with its own path below that of the object.

        It is a POST with If-Match, unless `more` says otherwise.
        """
        verb = name.partition("-")[0]
        made = {
            "name": name,
            "method": "POST",
            "path": f"{self.where}/{self.one}/{verb}",
            "matches": True,
        }
        return self._operation(verb, made | more)

    @property
    def _a(self) -> str:
        return f"{self.article} {self.noun.replace('-', ' ')}"

    def _operation(self, verb: str, made: dict[str, Any], noun: str | None = None) -> Operation:
        common: dict[str, Any] = {
            "name": f"{verb}-{noun or self.noun}",
            "path": f"{self.where}/{self.one}",
            "area": self.area,
            "reach": self.reach,
            "gives": self.gives,
        }
        return Operation(**common | made)

    # what they do

    async def find(self, call: Call) -> ApiReply:
        """List objects."""
        if self.order is None:
            return ApiReply(await call.read(lambda connection: self.search(connection, call)))
        return await call.page(
            lambda connection, limit: self.search(connection, call, limit), self.order
        )

    async def get(self, call: Call) -> ApiReply:
        """Read an object."""
        assert self.fetch is not None  # noqa: S101
        fetch, key = self.fetch, self.key(call)
        return self.reply(await call.read(lambda connection: fetch(connection, *key)))

    async def make(self, call: Call) -> ApiReply:
        """Add an object."""
        assert self.create is not None  # noqa: S101
        create, values = self.create, call.changes
        where = [*self._seal(call), *(self._param(call, name) for name in self._owner)]
        where += [values.pop(name) for name in self.named]
        if "password" in values:
            values["password"] = call.prepared
        made = await call.write(lambda write: create(write, *where, **values))
        return self.reply(made, location=location(*self.place(made)))

    async def modify(self, call: Call) -> ApiReply:
        """Change an object."""
        assert self.alter is not None  # noqa: S101
        alter = self.alter

        def work(write: Write) -> Any:
            before = self.expected(call, write, "change")
            return alter(write, *self.key(call), before.version, **call.changes)

        made = await call.write(work)
        return self.reply(made, location=location(*self.place(made)))

    async def discard(self, call: Call) -> ApiReply:
        """Remove an object."""
        assert self.delete is not None  # noqa: S101
        delete = self.delete

        def work(write: Write) -> None:
            if not self.is_versioned:
                delete(write, *self.key(call))
                return
            before = self.expected(call, write, "remove")
            delete(write, *self.key(call), before.version)

        await call.write(work)
        return ApiReply()

    # what operations of their own need

    def expected(self, call: Call, write: Write, verb: str) -> Any:
        """Return the current object of a request; raises `Conflict` if it is not as expected."""
        assert self.fetch is not None  # noqa: S101
        key = self.key(call)
        with write.attempt(f"{self.noun}.{verb}", key[0]):
            before = self.fetch(write.connection, *key)
            call.matching.expect(before)
        return before

    def key(self, call: Call) -> tuple[str, ...]:
        """Return the parameters that name an object."""
        return tuple(self._param(call, name) for name in (*self._owner, *_names(self.one)))

    def reply(self, made: Any, *, location: str | None = None) -> ApiReply:
        """Return the answer with an object."""
        return (
            ApiReply.of(made, location=location)
            if self.is_versioned
            else ApiReply(made, None, location)
        )

    @property
    def _owner(self) -> tuple[str, ...]:
        return _names(self.where)

    def _param(self, call: Call, name: str) -> str:
        return call.address if name == "address" else call.params[name]

    def _seal(self, call: Call) -> tuple[Any, ...]:
        return (call.context.seal,) if self.is_sealed else ()


def _names(path: str) -> tuple[str, ...]:
    return tuple(PARAMETER.findall(path))
