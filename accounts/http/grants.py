"""Grants: the rights that a principal may give to others, which are never more than its own.

A token could otherwise turn one right, such as ``administrators:write``, into all of them, and an
expiring token into one that never expires. Each function raises `Forbidden`; call it within
`Write.attempt`, so that the audit log has the refusal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accounts.directory import fields
from accounts.directory.administrators import Administrator
from accounts.http.access import Forbidden
from accounts.http.principals import AREAS, Principal, Role

DELEGATED_AREAS = tuple(area for area in AREAS if area != "administrators")
"""The areas in which an administrator of some domains has all permissions."""


def check_new_administrator(principal: Principal, values: Mapping[str, Any]) -> None:
    """Raise `Forbidden` if an administrator with these values would have more rights."""
    _check_role(principal, values.get("role", Role.DOMAINS))


def check_change(principal: Principal, before: Administrator, values: Mapping[str, Any]) -> None:
    """Raise `Forbidden` if the principal may not change an administrator in this way.

    A token with few scopes may still take rights away from an administrator of some domains. Raises
    `Invalid` for an invalid domain.
    """
    if before.role == Role.GLOBAL:
        _check_role(principal, Role.GLOBAL)
    named = {fields.domain("domains", one) for one in values.get("domains", ())}
    widens = values.get("enabled") is True or "password" in values or named - {*before.domains}
    if (role := values.get("role", before.role)) != before.role or widens:
        _check_role(principal, role)


def check_removal(principal: Principal, before: Administrator) -> None:
    """Raise `Forbidden` if the principal may not remove an administrator."""
    if before.role == Role.GLOBAL:
        _check_role(principal, Role.GLOBAL)


def check_token(principal: Principal, values: Mapping[str, Any]) -> None:
    """Raise `Forbidden` if a token would outlive the token that makes it.

    `values` are the arguments of `accounts.directory.tokens.add`. The scopes are checked by
    `Principal.covers`.
    """
    if principal.token is None:
        return
    expires = values.get("expires")
    if principal.expires is not None and (expires is None or expires > principal.expires):
        raise Forbidden("The token expires, so it cannot make a token that is valid for longer.")
    if principal.is_unlimited:
        return
    # it would stay valid after the owner is disabled or removed
    given = values.get("administrator") or values.get("mailbox")
    if principal.owner is not None and principal.owner not in (given, str(given).lower()):
        raise Forbidden("A token with limited scopes can make tokens only for its owner.")


def _check_role(principal: Principal, role: str) -> None:
    if role == Role.GLOBAL:
        if not principal.is_unlimited:
            raise Forbidden(
                "Only a global administrator may add or change global administrators; "
                "a token needs the scope all:write, and must not expire."
            )
        return
    if principal.expires is not None:
        raise Forbidden("The token expires, so it cannot make a login that does not.")
    missing = [area for area in DELEGATED_AREAS if not principal.has_scope(area, write=True)]
    if missing:
        raise Forbidden(
            "An administrator of domains has all permissions there, and the token has no scope "
            f"{missing[0]}:write, so it cannot grant them."
        )
