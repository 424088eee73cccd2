"""Key records in the forms for entering them into DNS (RFC 6376 section 3.6.1)."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

RecordForm: TypeAlias = Literal["bind", "line", "split"]
RECORD_FORMS: tuple[RecordForm, ...] = get_args(RecordForm)

CHARACTER_STRING = 255
"""Maximum octets of one character-string of a TXT record (RFC 1035 section 3.3.14)."""

DEFAULT_TTL = 3600


def split(text: str) -> tuple[str, ...]:
    """Split `text` into the character-strings that a verifier joins again (RFC 6376 section
    3.6.2.2)."""
    return tuple(
        text[at : at + CHARACTER_STRING] for at in range(0, len(text), CHARACTER_STRING)
    ) or ("",)


def revoked_record(key_type: str) -> str:
    """Return the record of a revoked key: an empty p= (RFC 6376 section 3.6.1)."""
    return f"v=DKIM1; k={key_type}; p="


def present(name: str, text: str, form: RecordForm, ttl: int = DEFAULT_TTL) -> str:
    """Return the record `text` of `name` in the given form, without a final line end.

    `bind`: a line for a zone file. `line`: the bare value, for web forms that split it themselves.
    `split`: the value in quoted strings of at most 255 octets, for web forms that do not.
    """
    if form == "line":
        return text
    strings = [f'"{part}"' for part in split(text.replace("\\", "\\\\").replace('"', '\\"'))]
    if form == "split":
        return " ".join(strings)
    if len(strings) == 1:
        return f"{name}. {ttl} IN TXT {strings[0]}"
    inner = "\n".join(f"    {string}" for string in strings)
    return f"{name}. {ttl} IN TXT (\n{inner} )"
