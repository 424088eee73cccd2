"""Operation of the API: its method and path, its models, and its permissions."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from http import HTTPStatus
from typing import Any, TypeAlias

from accounts.http.call import ApiReply, Call
from accounts.http.models.base import RequestModel, ResponseModel

PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")
"""A parameter in a path."""

Params: TypeAlias = Mapping[str, str]
Handler: TypeAlias = Callable[[Call], Coroutine[Any, Any, ApiReply]]


class Reach(Enum):
    """Principals that may perform an operation; a token also needs the scope."""

    GLOBAL = "global administrators"
    DOMAIN = "administrators of the domain"
    OWNER = "the owner of the mailbox, and administrators of its domain"
    LISTED = "administrators, who see their own domains"
    SELF = "everybody, for themselves"


def path_targets(params: Params, body: Any) -> Iterable[str]:
    """Return the domain or the address that the path names."""
    del body
    return [params[name] for name in ("domain", "address") if name in params]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation in the table of the API. `path` is below ``/api/v1``.

    `touches` returns the domains and addresses of a call, from its parameters and body; an
    administrator needs all of them. `reserved` are fields of the body that only global
    administrators may set. `matches`: If-Match is required. `area` is empty if no scope is needed.
    `is_alone`: it cannot be part of a batch. `writes` returns whether a call changes something, if
    the method does not tell. `counts_as` returns the number of requests that a call counts for in
    the limits of its sender; one if it is missing. `prepare` does work that is too slow for a
    transaction; the call has its result. `acts_outside`: that work changes something outside the
    datastore, which no transaction undoes.
    """

    name: str
    method: str
    path: str
    area: str
    reach: Reach
    summary: str
    handle: Handler
    takes: type[RequestModel] | None = None
    query: type[RequestModel] | None = None
    gives: type[ResponseModel] | None = None
    is_list: bool = False
    status: HTTPStatus = HTTPStatus.OK
    matches: bool = False
    touches: Callable[[Params, Any], Iterable[str]] = path_targets
    reserved: frozenset[str] = frozenset()
    is_alone: bool = False
    writes: Callable[[Call], bool] | None = None
    counts_as: Callable[[Call], int] | None = None
    prepare: Callable[[Call], Awaitable[Any]] | None = None
    acts_outside: bool = False

    @property
    def is_write(self) -> bool:
        """Return whether it changes something."""
        return self.method != "GET"

    @property
    def parameters(self) -> list[str]:
        """Return the names of the parameters of the path."""
        return PARAMETER.findall(self.path)

    def shown(self, reply: ApiReply) -> Any:
        """Return the body of an answer for JSON; None if there is none."""
        if self.gives is None:
            return None
        if self.is_list:
            return {"items": [_shown(self.gives, one) for one in reply.body]}
        return _shown(self.gives, reply.body)


def _shown(model: type[ResponseModel], found: object) -> dict[str, Any]:
    return model.model_validate(found).model_dump(mode="json")


def for_owner(operations: Iterable[Operation], below: str = "/me") -> list[Operation]:
    """Return operations on belongings of a mailbox, and the same `below` for its owner."""
    both = []
    for operation in operations:
        both.append(operation)
        if operation.reach is Reach.OWNER:
            path = operation.path.replace("/mailboxes/{address}", below, 1)
            both.append(replace(operation, name=f"own-{operation.name}", path=path))
    return both
