"""Access control of the API, all in one place: scopes of tokens, and roles.

Whether an object exists does not matter: without permission, nobody learns anything about it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from accounts.directory import fields
from accounts.http.operation import Operation, Params, Reach
from accounts.http.principals import Principal, Role
from accounts.store.errors import RefusalError


class Forbidden(RefusalError):  # noqa: N818
    """The principal lacks permission. Nothing was read or written."""


def check_role(principal: Principal, operation: Operation) -> None:
    """Raise `Forbidden` if the operation is not allowed for any target."""
    if operation.area and not principal.has_scope(operation.area, write=operation.is_write):
        verb = "write" if operation.is_write else "read"
        raise Forbidden(f"The token has no scope {operation.area}:{verb}.")
    allowed = _ROLES[operation.reach]
    if principal.role not in allowed:
        raise Forbidden(f"This is for {operation.reach.value}.")


def check_targets(
    principal: Principal, operation: Operation, params: Params, body: Any, *, complete: bool
) -> None:
    """Raise `Forbidden` unless the principal has permission for all targets of the operation.

    It is called with None before the body is read, and again when the request is `complete`. Raises
    `Invalid` for an invalid address or domain.
    """
    if principal.role is Role.GLOBAL or operation.reach is Reach.SELF:
        return
    targets = list(operation.touches(params, body))
    for target in targets:
        _check_target(principal, target)
    if complete and not targets and operation.reach in (Reach.DOMAIN, Reach.GLOBAL):
        raise Forbidden(f"This is for {Reach.GLOBAL.value}.")
    given = sorted(operation.reserved & body.model_fields_set) if body is not None else []
    if given:
        raise Forbidden(f"Only a global administrator sets {', '.join(given)}.")


def _check_target(principal: Principal, target: str) -> None:
    if principal.role is Role.MAILBOX:
        if "@" not in target or str(fields.mailbox_address("address", target)) != principal.mailbox:
            raise Forbidden("The login belongs to another mailbox.")
        return
    _, _, name = target.rpartition("@")
    if fields.domain("domain", name) not in principal.domains:
        raise Forbidden("The domain is not one of this administrator.")


_ROLES: dict[Reach, Iterable[Role]] = {
    Reach.GLOBAL: (Role.GLOBAL,),
    Reach.DOMAIN: (Role.GLOBAL, Role.DOMAINS),
    Reach.LISTED: (Role.GLOBAL, Role.DOMAINS),
    Reach.OWNER: tuple(Role),
    Reach.SELF: tuple(Role),
}
