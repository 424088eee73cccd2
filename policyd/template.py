"""Texts of replies with fields in braces: ``Try again in {seconds} seconds``.

Only plain names are allowed in braces; a configuration file cannot reach Python's attributes,
indexes or formats.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from policyd.request import Request

_FIELD = re.compile(r"\{([a-z_]*)\}")
MAX_FIELD = 200
"""Maximum characters of one value in a reply: a sender can have 320 and would push the rest out."""


def check_template(text: str, allowed: AbstractSet[str]) -> str:
    """Return the text if each field in it is allowed; raises `ValueError` otherwise."""
    if not (text.isascii() and text.isprintable()):  # RFC 5321 section 4.2: a reply is US-ASCII
        raise ValueError(
            f"{text!r} has characters that a reply cannot have: write printable US-ASCII"
        )
    rest = _FIELD.sub("", text)
    if "{" in rest or "}" in rest:
        raise ValueError(f"a single brace in {text!r}; fields are {_shown(allowed)}")
    for name in _FIELD.findall(text):
        if name not in allowed:
            raise ValueError(
                f"{{{name}}} is not a field of this text; fields are {_shown(allowed)}"
            )
    return text


def fields(text: str) -> frozenset[str]:
    """Return the names of the fields in a text."""
    return frozenset(_FIELD.findall(text))


def of_request(request: Request, hostname: str) -> dict[str, object]:
    """Return the fields that texts may have if their section allows it; `hostname` is ours."""
    return {
        "client": request.client_address,
        "name": request.client_name,
        "helo": request.helo_name,
        "sender": request.sender,
        "recipient": request.recipient,
        "user": request.sasl_username,
        "hostname": hostname,
    }


def fill(text: str, values: Mapping[str, object]) -> str:
    """Return the text with its fields replaced."""
    if "{" not in text:
        return text
    return _FIELD.sub(lambda match: str(values.get(match[1], ""))[:MAX_FIELD], text)


def _shown(allowed: AbstractSet[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(allowed))
