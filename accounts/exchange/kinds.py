"""Values that the fields of a document may have: the same as in the datastore."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, Field, JsonValue, StringConstraints

from accounts.address import (
    parse_alias_address,
    parse_domain,
    parse_mailbox_address,
    parse_target,
)
from accounts.directory.alias_names import MAX_PERSONAL, read_pattern
from accounts.directory.homes import MAX_HOME, is_home
from gatepost.filter_preferences import MAX_TAG, read_languages, read_rule_scores

LONGEST_HASH: Final = 1024
MOST_TARGETS: Final = 250
"""Targets of an alias or a mailbox, as many as the datastore allows."""

DEEPEST_RULE: Final = 32
"""Lists and objects within each other in a Sieve rule."""

_HASH = re.compile(r"\{[A-Z0-9][A-Z0-9.-]{0,40}\}[\x21-\x7e]+")
_CLEAR = re.compile(r"\{(?:PLAIN|CLEAR|CLEARTEXT|PLAINTEXT)\}.")
_LOGIN = re.compile(r"[a-z0-9](?:[a-z0-9._+-]{0,62}[a-z0-9])?")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?"
_SELECTOR = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_TRANSPORT = re.compile(r"[A-Za-z0-9_-]{1,64}:[\x21-\x7e]{0,254}")


def _one_line(text: str) -> str:
    text = unicodedata.normalize("NFC", text).strip()
    if not text.isprintable():
        raise ValueError("expected one line without control characters")
    return text


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("NUL is not allowed")
    return text


def _transport(text: str) -> str:
    if not _TRANSPORT.fullmatch(text):
        raise ValueError("expected a transport of Postfix, such as smtp:[mx.example.org]:25")
    return text


def _hash(text: str) -> str:
    if not (_HASH.fullmatch(text) or _CLEAR.match(text)):
        raise ValueError(
            "expected a hash that begins with its scheme, such as {ARGON2ID}$argon2id$..."
        )
    return text


def _sender(text: str) -> str:
    if text.startswith("@"):
        return "@" + parse_domain(text[1:])
    return str(parse_mailbox_address(text))


def _home(text: str) -> str:
    if not is_home(text):
        raise ValueError("expected two names of folders with a slash between them")
    return text


def _login(text: str) -> str:
    if "@" in text:
        return str(parse_mailbox_address(text))
    if not _LOGIN.fullmatch(text.lower()):
        raise ValueError("an address, or up to 64 letters, digits and . _ + - are expected")
    return text.lower()


def _selector(text: str) -> str:
    if len(text) > 200 or not _SELECTOR.fullmatch(text.lower()):
        raise ValueError("expected labels of letters, digits and hyphens, separated by dots")
    return text.lower()


RuleJson: TypeAlias = "dict[str, JsonValue] | list[JsonValue]"
"""A Sieve rule as JSON."""


def base64_text(text: str) -> str:
    """Return text in base64; raise `ValueError` for other text."""
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("expected base64") from None
    return text


def shallow(rule: RuleJson) -> RuleJson:
    """Return a rule that is nested at most `DEEPEST_RULE` deep; raise `ValueError` otherwise."""
    layer: list[Any] = [rule]
    for _ in range(DEEPEST_RULE):
        values = [one.values() if isinstance(one, dict) else one for one in layer]
        layer = [child for group in values for child in group if isinstance(child, dict | list)]
        if not layer:
            return rule
    raise ValueError(f"the rule nests lists and objects more than {DEEPEST_RULE} deep")


DomainName = Annotated[str, AfterValidator(parse_domain)]
MailboxAddress = Annotated[str, AfterValidator(lambda text: str(parse_mailbox_address(text)))]
AliasAddress = Annotated[str, AfterValidator(lambda text: str(parse_alias_address(text)))]
Target = Annotated[str, AfterValidator(lambda text: str(parse_target(text)))]
Sender = Annotated[str, AfterValidator(_sender)]
Words = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_one_line)]
Transport = Annotated[str, AfterValidator(_transport)]
StoreName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,62}$")]
HomePath = Annotated[str, StringConstraints(max_length=MAX_HOME), AfterValidator(_home)]
LoginName = Annotated[str, AfterValidator(_login)]
SelectorText = Annotated[str, AfterValidator(_selector)]
Interval = Annotated[int, Field(ge=60, le=7 * 86_400)]
"""Seconds between two times of fetching."""
Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_one_line)]
DisplayName = Annotated[str, StringConstraints(max_length=200), AfterValidator(_one_line)]
Prose = Annotated[str, StringConstraints(max_length=4000), AfterValidator(_without_nul)]
Hash = Annotated[str, StringConstraints(max_length=LONGEST_HASH), AfterValidator(_hash)]
OctetCount = Annotated[int, Field(ge=0, lt=1 << 53)]
WholeNumber = Annotated[int, Field(ge=0, lt=1 << 53)]
"""Numbers that every reader of JSON keeps exactly (RFC 8259 section 6)."""
PersonalCount = Annotated[int, Field(ge=0, le=MAX_PERSONAL)]
NamePattern = Annotated[str, AfterValidator(read_pattern)]
TimeNumber = Annotated[int | None, Field(ge=0, lt=1 << 53)]
ScoreNumber = Annotated[float | None, Field(ge=-1000, le=1000, allow_inf_nan=False)]
LanguageCodes = Annotated[tuple[str, ...], AfterValidator(read_languages)]
RuleScores = Annotated[dict[str, float], AfterValidator(read_rule_scores)]
SubjectTag = Annotated[str, StringConstraints(max_length=MAX_TAG), AfterValidator(_one_line)]
ProtocolName: TypeAlias = Literal["imap", "pop3", "smtp", "sieve"]
