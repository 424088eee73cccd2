"""Checks of field values, with a function for each kind, which returns the value to store.

Values come from JSON, files and command lines, so their types are checked, too. All raise
`Invalid`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from accounts import address as addresses
from accounts.address import AccountAddress, AccountAddressError
from accounts.store.errors import Invalid
from gatepost import filter_preferences

MAX_NUMBER = (1 << 53) - 1
"""Largest number that every reader of JSON keeps exactly (RFC 8259 section 6)."""
MAX_TIME = 253_402_300_799
"""The last second of the year 9999."""
MAX_NAME = 200
"""Characters of a name chosen by people."""
MAX_TEXT = 1000
"""Characters of a description."""
MAX_HASH = 1024
"""Characters of the hash of a password; the longest scheme has 200."""
MAX_TARGETS = 250
"""Targets of an alias or a mailbox: their addresses fit into one answer to Postfix, of 100,000
octets (socketmap_table(5))."""
MAX_JSON = 65_536
"""Octets of a JSON value."""
MAX_DEPTH = 32
"""Levels of a JSON value: forms have five."""

_HASH = re.compile(r"\{[A-Z0-9][A-Z0-9.-]{0,40}\}[\x21-\x7e]+\Z")
_TRANSPORT = re.compile(r"[A-Za-z0-9_-]{1,64}:[\x21-\x7e]{0,254}\Z")
_WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._:-]{0,61}[A-Za-z0-9])?\Z")

FieldCheck = Callable[[str, Any], Any]
"""Function of the name of the field and the value; it returns the value to store."""


def flag(field: str, value: Any) -> bool:
    """Return a boolean."""
    if not isinstance(value, bool):
        raise Invalid(field, "It must be either true or false.")
    return value


def number(field: str, value: Any, lowest: int = 0, highest: int = MAX_NUMBER) -> int:
    """Return a whole number in a range, including its limits."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise Invalid(field, "It must be a whole number.")
    if not lowest <= value <= highest:
        raise Invalid(field, f"It must be between {lowest} and {highest}.")
    return value


def time(field: str, value: Any) -> int:
    """Return a time in seconds since the epoch."""
    return number(field, value, 0, MAX_TIME)


def score(field: str, value: Any) -> float:
    """Return the score of a spam filter."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Invalid(field, "It must be a number.")
    if not -1000 <= value <= 1000:  # also refuses nan
        raise Invalid(field, "It must be between -1000 and 1000.")
    return float(value)


def text(field: str, value: Any, longest: int = MAX_TEXT) -> str:
    """Return text of one line in NFC, without space at its ends; it may be empty.

    Any printable character is allowed: markup and SQL are plain text here, and must be quoted where
    they are used.
    """
    if not isinstance(value, str):
        raise Invalid(field, "It must be text.")
    if len(value) > 4 * longest:  # bounds the work below
        raise Invalid(field, f"It must have at most {longest} characters.")
    line = unicodedata.normalize("NFC", value).strip()
    if len(line) > longest:
        raise Invalid(field, f"It must have at most {longest} characters.")
    if not line.isprintable():
        raise Invalid(field, "It has a character that cannot be printed.")
    return line


def name(field: str, value: Any) -> str:
    """Return short text that is not empty."""
    if not (named := text(field, value, MAX_NAME)):
        raise Invalid(field, "It cannot be empty.")
    return named


def display_name(field: str, value: Any) -> str:
    """Return the name of a person, which may be empty."""
    return text(field, value, MAX_NAME)


def choice(field: str, value: Any, allowed: Collection[str]) -> str:
    """Return one of the allowed words."""
    if not isinstance(value, str) or value not in allowed:
        raise Invalid(field, f"It must be one of: {', '.join(allowed)}.")
    return value


def words(field: str, value: Any, allowed: Sequence[str]) -> str:
    """Return words separated by spaces, in the order of `allowed`; at least one."""
    if isinstance(value, str):
        value = value.split()
    if not isinstance(value, list | tuple) or not value:
        raise Invalid(field, f"It must be some of: {', '.join(allowed)}.")
    for one in value:
        choice(field, one, allowed)
    return " ".join(word for word in allowed if word in value)


def hashed(field: str, value: Any) -> str:
    """Return the hash of a password with its scheme in front."""
    if not isinstance(value, str) or len(value) > MAX_HASH or not _HASH.match(value):
        raise Invalid(field, "It must be a hash with its scheme, such as {ARGON2ID}$argon2id$….")
    return value


def transport(field: str, value: Any) -> str:
    """Return a transport of Postfix (transport(5)), such as ``smtp:[mx.example.org]:25``."""
    if not isinstance(value, str) or not _TRANSPORT.match(value):
        raise Invalid(field, "It must be a transport of Postfix, such as smtp:[mx.example.org]:25.")
    return value


def word(field: str, value: Any) -> str:
    """Return a name for machines: letters, digits, dots, colons, hyphens and underscores."""
    if not isinstance(value, str) or not _WORD.match(value):
        raise Invalid(
            field,
            "It must have up to 63 letters and digits, with dots, colons and hyphens between them.",
        )
    return value


def domain(field: str, value: Any) -> str:
    """Return a domain in A-labels."""
    return str(_parsed(addresses.parse_domain, field, value))


def mailbox_address(field: str, value: Any) -> AccountAddress:
    """Return the address of a mailbox."""
    return _address(addresses.parse_mailbox_address, field, value)


def alias_address(field: str, value: Any) -> AccountAddress:
    """Return the address of an alias, which may have a ``*``."""
    return _address(addresses.parse_alias_address, field, value)


def target(field: str, value: Any) -> str:
    """Return an address that mail is forwarded to."""
    return str(_address(addresses.parse_target, field, value))


def targets(field: str, value: Any) -> tuple[str, ...]:
    """Return addresses in their order, each once; there may be none."""
    if not isinstance(value, list | tuple):
        raise Invalid(field, "It must be a list of addresses.")
    if len(value) > MAX_TARGETS:
        raise Invalid(field, f"It must have at most {MAX_TARGETS} addresses.")
    return tuple(dict.fromkeys(target(field, one) for one in value))


def sender(field: str, value: Any) -> str:
    """Return an address, or ``@`` and a domain for all addresses there."""
    if isinstance(value, str) and value.startswith("@"):
        return f"@{domain(field, value[1:])}"
    return str(_address(addresses.parse_mailbox_address, field, value))


def languages(field: str, value: Any) -> tuple[str, ...]:
    """Return languages that the spam filter knows; none if a default applies."""
    if not isinstance(value, list | tuple):
        raise Invalid(field, "It must be a list of languages.")
    return tuple(_told(filter_preferences.read_languages, field, value))


def rule_scores(field: str, value: Any) -> dict[str, float]:
    """Return the scores of rules of the spam filter."""
    if not isinstance(value, dict):
        raise Invalid(field, "It must be an object with the scores of rules.")
    return dict(_told(filter_preferences.read_rule_scores, field, value))


def subject_tag(field: str, value: Any) -> str:
    """Return the text that is put before subjects; it may be empty."""
    line = text(field, value, filter_preferences.MAX_TAG)
    return str(_told(filter_preferences.read_tag, field, line))


def json_value(field: str, value: Any) -> Any:
    """Return a JSON object or list of bounded size and depth."""
    if not isinstance(value, dict | list):
        raise Invalid(field, "It must be an object or a list.")
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        if any(isinstance(one, str) and "\0" in one for one in level):
            raise Invalid(field, "It has a NUL.")
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            break
    else:
        raise Invalid(field, f"It must have at most {MAX_DEPTH} levels.")
    try:
        written = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError):  # the latter also for a surrogate
        raise Invalid(field, "It has a value that JSON cannot represent.") from None
    if len(written) > MAX_JSON:
        raise Invalid(field, f"It must have at most {MAX_JSON} octets.")
    return json.loads(written)


def _inside(value: Any) -> list[Any]:
    """Return the members of a value, one level down."""
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []


def optional(check: FieldCheck) -> FieldCheck:
    """Return a check that also allows None."""
    return lambda field, value: None if value is None else check(field, value)


def checked(values: Mapping[str, Any], checks: Mapping[str, FieldCheck]) -> dict[str, Any]:
    """Return the values of some fields in stored form; a field without a check is refused."""
    for field in values:
        if field not in checks:
            raise Invalid(field[:MAX_NAME], "There is no such field.")
    return {field: checks[field](field, value) for field, value in values.items()}


def _parsed(parse: Callable[[str], Any], field: str, value: Any) -> Any:
    if not isinstance(value, str):
        raise Invalid(field, "It must be text.")
    try:
        return parse(value)
    except AccountAddressError as error:
        raise Invalid(field, str(error)) from None


def _told(read: Callable[[Any], Any], field: str, value: Any) -> Any:
    try:
        return read(value)
    except ValueError as error:
        sentence = str(error)
        raise Invalid(field, f"{sentence[:1].upper()}{sentence[1:]}.") from None


def _address(parse: Callable[[str], AccountAddress], field: str, value: Any) -> AccountAddress:
    parsed = _parsed(parse, field, str(value) if isinstance(value, AccountAddress) else value)
    assert isinstance(parsed, AccountAddress)  # noqa: S101
    return parsed
