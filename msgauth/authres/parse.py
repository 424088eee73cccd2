"""Parser of Authentication-Results (RFC 8601) from other hosts.

Only trust a field whose authserv-id is that of a host you trust, and that cannot have been added
before that host (RFC 8601 section 4.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from msgauth.authres.lexer import AuthresError, Lexer
from msgauth.results import Property

MAX_LENGTH = 65536
"""Maximum characters of a field."""

MAX_RESULTS = 100
"""Maximum results of a field."""

MAX_PROPERTIES = 50
"""Maximum properties of one result."""

VERSION = 1
"""The supported version of the field's syntax (RFC 8601 section 2.6)."""

_DIGITS = re.compile(r"[0-9]{1,9}(?![^\s;()=])")
# An unquoted value; it may have characters that need quotes, because some hosts write base64 and
# IPv6 addresses this way.
_BARE = re.compile(r'[^\s;()"]+')


@dataclass(frozen=True, slots=True)
class MethodResult:
    """The result of one method in a field."""

    method: str
    """The method, in lower-case."""
    result: str
    """Its result, in lower-case; not necessarily one that is registered."""
    reason: str = ""
    properties: tuple[Property, ...] = ()
    """`Property.ptype` and `Property.name` are in lower-case. The ptype is empty where there was
    none, as in Microsoft's ``action=none``."""
    version: int = 1
    """The method's version; results of a version that is not known say nothing."""


@dataclass(frozen=True, slots=True)
class AuthenticationResults:
    """A field: the host that wrote it, and its results."""

    authserv_id: str
    """As written, without quotes."""
    results: tuple[MethodResult, ...] = ()
    """Empty if the field says "none": nothing was checked."""

    def of(self, method: str) -> tuple[MethodResult, ...]:
        """Return the results of one method in the supported version."""
        return tuple(r for r in self.results if r.method == method and r.version == 1)


def parse(text: str) -> AuthenticationResults:
    """Parse the value of an Authentication-Results field; folds may still be in it.

    Raises `AuthresError` for syntax errors, and for an unknown version of the syntax (RFC 8601
    section 2.6). It accepts deviations of large hosts: a ";" at the end, missing quotes, properties
    without ptype, a reason after properties.
    """
    if len(text) > MAX_LENGTH:
        raise AuthresError(f"a field of more than {MAX_LENGTH} characters")
    lexer = Lexer(text)
    lexer.cfws()
    authserv_id = lexer.value()
    if not authserv_id:
        raise AuthresError("an empty authserv-id")
    lexer.cfws()
    version = lexer.take(_DIGITS)
    if version and int(version) != VERSION:
        raise AuthresError(f"version {version} of the syntax is not known")
    lexer.cfws()
    results: list[MethodResult] = []
    while not lexer.at_end():
        if not lexer.literal(";"):
            raise AuthresError(f"; is missing at {lexer.text[lexer.position :][:20]!a}")
        lexer.cfws()
        if lexer.at_end():
            break
        if len(results) == MAX_RESULTS:
            raise AuthresError(f"more than {MAX_RESULTS} results")
        results.append(_result(lexer))
    # RFC 8601 section 2.2, no-result: a lone "none"
    nothing = [result for result in results if not result.result]
    if nothing and len(results) > 1:
        raise AuthresError("none beside results")
    return AuthenticationResults(authserv_id, () if nothing else tuple(results))


def _result(lexer: Lexer) -> MethodResult:
    method = lexer.keyword()
    lexer.cfws()
    if method == "none" and (lexer.at_end() or lexer.text[lexer.position] == ";"):
        return MethodResult("none", "")
    version = 1
    if lexer.literal("/"):
        lexer.cfws()
        version = int(lexer.take(_DIGITS) or 0)
    lexer.expect("=")
    result = lexer.keyword()
    reason = ""
    properties: list[Property] = []
    while True:
        spaced = lexer.cfws()
        if lexer.at_end() or lexer.text[lexer.position] == ";":
            return MethodResult(method, result, reason, tuple(properties), version)
        if not spaced:
            raise AuthresError(f"a space is missing at {lexer.text[lexer.position :][:20]!a}")
        ptype = lexer.keyword()
        lexer.cfws()
        if len(properties) == MAX_PROPERTIES:
            raise AuthresError(f"more than {MAX_PROPERTIES} properties")
        if lexer.literal("="):
            lexer.cfws()
            value = _pvalue(lexer)
            if ptype == "reason":
                reason = value
            else:
                properties.append(Property("", ptype, value))
            continue
        lexer.expect(".")
        name = lexer.keyword()
        lexer.expect("=")
        properties.append(Property(ptype, name, _pvalue(lexer)))


def _pvalue(lexer: Lexer) -> str:
    # RFC 8601 section 2.2: value / [ [ local-part ] "@" ] domain-name
    quoted = lexer.quoted()
    if quoted is None:
        bare = lexer.take(_BARE)
        if not bare:
            raise AuthresError(f"a value is missing at {lexer.text[lexer.position :][:20]!a}")
        return bare
    if lexer.literal("@"):
        return f"{quoted}@{lexer.take(_BARE)}"  # a quoted local part
    return quoted
