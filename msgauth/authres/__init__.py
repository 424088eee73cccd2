"""Authentication-Results (RFC 8601): `parse` reads a field, `format_field` writes one, and
`fields_to_remove` finds those of others that pretend to be ours."""

from msgauth.authres.agreement import dmarc_passed
from msgauth.authres.format import format_field, format_value
from msgauth.authres.lexer import AuthresError
from msgauth.authres.parse import AuthenticationResults, MethodResult, parse
from msgauth.authres.trust import claims, fields_to_remove, is_from

__all__ = [
    "AuthenticationResults",
    "AuthresError",
    "MethodResult",
    "claims",
    "dmarc_passed",
    "fields_to_remove",
    "format_field",
    "format_value",
    "is_from",
    "parse",
]
