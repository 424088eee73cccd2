"""Rule for a DMARC pass in an Authentication-Results field.

A careless host copies results of others into its own field, as does one that merges several fields.
A sender can then add a result or property beside the true one. So a field only counts if everything
that it says about DMARC agrees.
"""

from __future__ import annotations

from msgauth.authres.parse import VERSION, AuthenticationResults, MethodResult
from msgauth.domain import DomainError, to_alabels


def dmarc_passed(field: AuthenticationResults, author_domain: str) -> bool:
    """Return whether `field` says that DMARC passed for `author_domain`.

    Nothing in the field may contradict this.

    There is at least one dmarc result, each is a pass, and each names `author_domain`, and no other
    domain, as header.from. A "dmarc" among the properties of any result counts as a contradiction:
    it is a result whose ";" is missing. `author_domain` is in A-labels and lower-case; a parent or
    subdomain is a different domain.
    """
    # also for an unknown version: its meaning is unknown, so it does not agree
    results = [result for result in field.results if result.method == "dmarc"]
    if any(
        (item.ptype, item.name) == ("", "dmarc") for one in field.results for item in one.properties
    ):
        return False
    return bool(results) and all(_agrees(result, author_domain) for result in results)


def _agrees(result: MethodResult, author_domain: str) -> bool:
    named = [
        item.value for item in result.properties if (item.ptype, item.name) == ("header", "from")
    ]
    return (
        result.version == VERSION
        and result.result == "pass"
        and bool(named)
        and all(_is_domain(value, author_domain) for value in named)
    )


def _is_domain(value: str, domain: str) -> bool:
    try:
        return to_alabels(value) == domain
    except DomainError:
        return False
