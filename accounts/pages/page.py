"""Page: its path, who may see it, and its two functions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from starlette.responses import Response

from accounts.http.principals import Role
from accounts.pages.form import MAX_FORM
from accounts.pages.visit import Visit

PageView: TypeAlias = Callable[[Visit], Awaitable[Response]]

NOBODY: frozenset[Role] = frozenset()
"""A page that needs no login."""
EVERYBODY = frozenset(Role)
OWNERS = frozenset({Role.MAILBOX})
ADMINISTRATORS = frozenset({Role.GLOBAL, Role.DOMAINS})
ALL_POWERFUL = frozenset({Role.GLOBAL})


@dataclass(frozen=True, slots=True)
class WebPage:
    """A page. `path` is below the path of all pages; `roles` are those who may see it.

    `show` answers GET and never changes anything, apart from an entry in the audit log. `act`
    answers POST; if that is refused, `show` shows the page again with what was typed and the
    reason. `takes_file`: a form may come as multipart/form-data, and may have `largest` octets.
    """

    name: str
    path: str
    roles: frozenset[Role]
    show: PageView
    act: PageView | None = None
    takes_file: bool = False
    largest: int = MAX_FORM
