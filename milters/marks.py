"""Our own header fields as marks on a message that returns to us.

Mail from outside gets our Authentication-Results, and perhaps our verdict. A Sieve redirect, a
`.forward`, a mailing list or a content filter can bring it back as mail of ours. The fields are
then still there, and genuine: forged ones were removed when the message arrived. One of our own
clients can write such fields too, but gains nothing, because a mark only ever prevents signing or
sealing.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from milters.header import VERDICT
from msgauth.authres import AuthenticationResults, AuthresError, dmarc_passed, is_from, parse
from msgauth.dmarc import Policy
from msgauth.domain import DomainError, to_alabels
from msgauth.message import HeaderField
from msgauth.results import DmarcStatus, Finding, Property

MAX_READ: Final = 10
"""Maximum fields in our name that are read, from the top. We write one and remove all others, so
any more were written by a client."""

_RESULTS = b"authentication-results"
_VERDICT = VERDICT.lower().encode()
_VERDICT_VALUE = re.compile(r"(?:tag|quarantine); reason=(?P<reason>[a-z0-9-]{1,64})\Z")
_WORST_FIRST = (
    DmarcStatus.FAIL,
    DmarcStatus.PERMERROR,
    DmarcStatus.TEMPERROR,
    DmarcStatus.NONE,
)


@dataclass(frozen=True, slots=True)
class Marks:
    """The statements of our own fields about a message.

    `count` is the number of fields; 0 means that the message did not arrive from outside.
    `is_verified` says that DMARC passed for the author when it arrived. If not, `dmarc` is the
    DMARC result of then, if our fields state it, and `verdict` the value of our verdict, or empty.
    """

    count: int = 0
    is_verified: bool = False
    dmarc: Finding | None = None
    verdict: str = ""

    @property
    def are_bad(self) -> bool:
        """Return whether the message arrived from outside and no field says that it is genuine."""
        return self.count > 0 and not self.is_verified


def read_marks(
    fields: Sequence[HeaderField],
    own_ids: Collection[str],
    author_domain: str,
    *,
    without_dmarc: bool = False,
) -> Marks:
    """Read the marks on a message whose author has this domain; empty without exactly one.

    `own_ids` are the names that our fields may have, including those of our other hosts. Each of
    our fields has a DMARC result, unless `without_dmarc` says that DMARC is not checked, so a field
    without one was written by a client. Never raises.
    """
    said = list(_results(fields, own_ids, without_dmarc=without_dmarc))
    verdicts = [
        match
        for field in fields
        if field.key == _VERDICT and (match := _VERDICT_VALUE.match(field.text))
    ]
    count = len(said) + len(verdicts)
    if not count:
        return Marks()
    is_verified = (
        bool(said)
        and bool(author_domain)
        and all(one is not None and dmarc_passed(one, author_domain) for one in said)
        and not any(match["reason"].startswith("dmarc-") for match in verdicts)
    )
    if is_verified:
        return Marks(count, is_verified)
    # "quarantine" before "tag"
    return Marks(count, False, _finding(said), min((match[0] for match in verdicts), default=""))


def _results(
    fields: Sequence[HeaderField], own_ids: Collection[str], *, without_dmarc: bool
) -> Iterator[AuthenticationResults | None]:
    """Yield our fields; None for an unreadable one, which does not count as a pass."""
    named = (field.text for field in fields if field.key == _RESULTS)
    for text in itertools.islice((text for text in named if is_from(text, own_ids)), MAX_READ):
        try:
            one = parse(text)
        except AuthresError:
            yield None
            continue
        if without_dmarc or any(result.method == "dmarc" for result in one.results):
            yield one


def _finding(said: Sequence[AuthenticationResults | None]) -> Finding | None:
    """Return the worst DMARC result, or None if DMARC was not checked; never a pass."""
    results = [result for one in said if one is not None for result in one.of("dmarc")]
    for status in _WORST_FIRST:
        for result in results:
            if result.result == status:
                shown = {(item.ptype, item.name): item.value for item in result.properties}
                properties = (
                    *_domain(shown.get(("header", "from"), "")),
                    *_policy(shown.get(("policy", "dmarc"), "")),
                )
                reason = "found when the message arrived from outside"
                return Finding("dmarc", status, reason, properties)
    asked = [one is None or any(r.method == "dmarc" for r in one.results) for one in said]
    if not any(asked):
        return None
    reason = "our own results disagree or cannot be read"
    return Finding("dmarc", DmarcStatus.PERMERROR, reason)


def _domain(value: str) -> tuple[Property, ...]:
    try:
        return (Property("header", "from", to_alabels(value)),)
    except DomainError:
        return ()


def _policy(value: str) -> tuple[Property, ...]:
    return (Property("policy", "dmarc", value),) if value in set(Policy) else ()
