"""Cookies: the secret of a session, and before a login that of its form or exchange."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

# RFC 6265bis section 4.1.3.2: browsers take these names only over TLS, for this host alone
SESSION = "__Host-gatepost"
FORM = "__Host-gatepost-form"
EXCHANGE = "__Host-gatepost-oidc"

_SECRET = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_MAX_EXCHANGE = 1000


def read(request: Request, name: str) -> str:
    """Return the secret in a cookie; empty if there is none."""
    found = request.cookies.get(name, "")
    return found if _SECRET.match(found) else ""


def read_exchange(request: Request) -> str:
    """Return the login through a provider that a browser has begun; empty if there is none."""
    found = request.cookies.get(EXCHANGE, "")
    return found if len(found) <= _MAX_EXCHANGE else ""


def put(response: Response, name: str, secret: str) -> None:
    """Give the browser a secret, until it is closed."""
    response.set_cookie(name, secret, path="/", secure=True, httponly=True, samesite="lax")


def drop(response: Response, name: str) -> None:
    """Let the browser forget a secret."""
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")
