"""Parser of the form that Dovecot's script sends: `application/x-www-form-urlencoded`, in
octets."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import unquote_to_bytes

MAX_FIELDS = 20
"""Maximum number of fields in a form; unknown ones are ignored."""

_WRONG = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class FormError(ValueError):
    """The form cannot be parsed; the message says why."""


def parse_form(octets: bytes, wanted: Collection[str]) -> dict[str, bytes]:
    """Return the fields of a form by their names; a missing field is empty.

    Raises `FormError`, also for a repeated field.
    """
    fields = dict.fromkeys(wanted, b"")
    seen = set()
    parts = octets.split(b"&", MAX_FIELDS) if octets else []
    if len(parts) > MAX_FIELDS:
        raise FormError(f"there are more than {MAX_FIELDS} fields")
    for part in parts:
        name_text, _, value = part.partition(b"=")
        name = _unquote(name_text).decode("ascii", "replace")
        if name not in fields:
            continue
        if name in seen:
            raise FormError(f"{name} is repeated")
        seen.add(name)
        fields[name] = _unquote(value)
    return fields


def text_of(octets: bytes) -> str:
    """Return a field as text; raises `FormError` unless it is UTF-8 without NUL."""
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        raise FormError("a field is not UTF-8 text") from None
    if "\0" in text:
        raise FormError("a field has a NUL")
    return text


def _unquote(octets: bytes) -> bytes:
    if _WRONG.search(octets):
        raise FormError("a % without two digits")
    return unquote_to_bytes(octets.replace(b"+", b" "))
