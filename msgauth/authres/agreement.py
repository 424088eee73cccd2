"""The one thing a field of Authentication-Results must say to count as a DMARC pass.

A careless host copies results of others into its own field, and so does one that merges several
fields. A sender can then add a result or a property of his own beside the true one. So a field is
believed only where everything it says of DMARC agrees.
"""

from __future__ import annotations

from msgauth.authres.parse import VERSION, AuthenticationResults, Result
from msgauth.domain import DomainError, to_alabels


def dmarc_passed(field: AuthenticationResults, author_domain: str) -> bool:
    """Return whether `field` says that DMARC passed for `author_domain`.

    It must say nothing that contradicts this.

    There is at least one dmarc result, each is a pass, and each names `author_domain`, and no other
    domain, as header.from. A "dmarc" among the properties of any result contradicts: it is one
    whose ";" is missing. `author_domain` is in A-labels and lower-case; a domain above or below it
    is another one.
    """
    # also of a version that is not known: what it means cannot be told, so it does not agree
    results = [result for result in field.results if result.method == "dmarc"]
    if any(
        (item.ptype, item.name) == ("", "dmarc") for one in field.results for item in one.properties
    ):
        return False
    return bool(results) and all(_agrees(result, author_domain) for result in results)


def _agrees(result: Result, author_domain: str) -> bool:
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
