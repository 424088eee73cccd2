"""The header fields that the milter adds, and those of others that pretend to be ours."""

from __future__ import annotations

import re
from collections.abc import Iterable

from milters.actions import InsertHeader
from milters.policy import Disposition
from msgauth.fold import fold
from msgauth.message import HeaderField
from msgauth.results import Finding

VERDICT = "X-Gatepost-Verdict"
"""The field that says ``tag`` or ``quarantine``, for the mail store to file by."""

RESULTS = "Authentication-Results"

_VERDICT_KEY = VERDICT.lower().encode()
_RESULTS_KEY = RESULTS.lower().encode()


def insert(field: HeaderField) -> InsertHeader:
    """Put `field` on top; Postfix wants LF for the folds."""
    return InsertHeader(field.name.decode(), field.value.decode().replace("\r\n", "\n"))


def verdict(disposition: Disposition) -> str:
    """The value of `VERDICT`."""
    return f" {disposition.action}; reason={disposition.reason}"


def authentication_results(authserv_id: str, findings: Iterable[Finding]) -> HeaderField:
    """Every finding under our name (RFC 8601 section 2.2)."""
    items = [f"{authserv_id};"]
    for finding in findings:
        words = [f"{finding.method}={finding.status.value}"]
        if finding.reason:
            # a quoted string may be folded where it has a space (RFC 5322 section 3.2.4)
            words += f'reason="{_quotable(finding.reason)}"'.split()
        words += [f"{p.ptype}.{p.name}={_value(p.value)}" for p in finding.properties if p.value]
        words[-1] += ";"
        items += words
    if len(items) == 1:
        items.append("none;")
    items[-1] = items[-1].removesuffix(";")
    value = " " + fold(items, column=len(RESULTS) + 2)
    return HeaderField(RESULTS.encode(), value.encode())


_TOKEN = re.compile(r"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]+\Z")


def _quotable(text: str) -> str:
    return re.sub(r'[\x00-\x1f\x7f"\\]', "'", text)


def _value(text: str) -> str:
    local, at, domain = text.rpartition("@")
    if _TOKEN.match(domain) and (not local or _TOKEN.match(local)) and (at or not local):
        return text
    return f'"{_quotable(text)}"'


def is_ours(field: HeaderField, own_ids: frozenset[str]) -> bool:
    """Whether `field`, in a message that comes in, claims to be written by us."""
    if field.key == _VERDICT_KEY:
        return True
    if field.key != _RESULTS_KEY:
        return False
    text = field.text
    depth = at = 0
    while at < len(text) and (depth or text[at] in " \t(\r\n"):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        at += 2 if text[at] == "\\" else 1
    match = re.match(r'"((?:[^"\\]|\\.)*)"|([^\s;(]*)', text[at:])
    if match is None:
        return True
    name = re.sub(r"\\(.)", r"\1", match[1]) if match[1] is not None else match[2]
    return name.lower().rstrip(".") in own_ids
