"""Authentication-Results for SpamAssassin: a copy of our own field with what it knows.

SpamAssassin drops a whole field for one method or result that it does not know, such as
``arc=temperror``, so a sender could blind it. And it would believe fields of others: so a scanner
gets this copy alone, above everything else.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final

from msgauth.authres import (
    AuthenticationResults,
    AuthresError,
    MethodResult,
    format_field,
    is_from,
    parse,
)
from msgauth.message import HeaderField
from msgauth.results import (
    ArcStatus,
    DkimStatus,
    DmarcStatus,
    Finding,
    IprevStatus,
    Property,
    SpfStatus,
)

_Status = ArcStatus | DkimStatus | DmarcStatus | IprevStatus | SpfStatus

# AuthRes.pm of SpamAssassin 4.0: of the methods that our milter writes, these are its results
_KNOWN: Final[dict[str, dict[str, _Status]]] = {
    "arc": {one.value: one for one in (ArcStatus.NONE, ArcStatus.PASS, ArcStatus.FAIL)},
    "dkim": {one.value: one for one in DkimStatus},
    "dmarc": {one.value: one for one in DmarcStatus},
    "iprev": {one.value: one for one in IprevStatus},
    "spf": {one.value: one for one in SpfStatus},
}
_PROPERTIES: Final = frozenset(
    {
        *(("dkim", "header", name) for name in "dibas"),
        ("arc", "header", "oldest-pass"),
        ("dmarc", "header", "from"),
        ("dmarc", "policy", "dmarc"),
        ("iprev", "policy", "iprev"),
        *(("spf", "smtp", name) for name in ("mailfrom", "helo")),
    }
)
_PLAIN: Final = re.compile(r"[A-Za-z0-9@._:/+-]{1,253}\Z")


def own_results(
    fields: Sequence[HeaderField], own_ids: Collection[str]
) -> AuthenticationResults | None:
    """Return the results of our milter, or None if it has written none.

    `fields` are the Authentication-Results above the first Received field, from the top. Nobody
    outside can write there: our MTA puts its Received field above all that it was sent, and our
    milter writes above that.
    """
    for field in fields:
        if is_from(field.text, own_ids):
            try:
                return parse(field.text)
            except AuthresError:
                return None
    return None


def known_field(results: AuthenticationResults | None, authserv_id: str) -> bytes:
    """Return the field for SpamAssassin with its line end; empty if there are no results."""
    findings = [] if results is None else [one for one in map(_known, results.results) if one]
    return bytes(format_field(authserv_id, findings)) if findings else b""


def _known(result: MethodResult) -> Finding | None:
    status = _KNOWN.get(result.method, {}).get(result.result)
    if status is None or result.version != 1:
        return None
    properties = tuple(
        Property(item.ptype, item.name, item.value)
        for item in result.properties
        if (result.method, item.ptype, item.name) in _PROPERTIES and _PLAIN.match(item.value)
    )
    return Finding(result.method, status, "", properties)
