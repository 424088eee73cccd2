"""Whether a listed ARC sealer saw a message pass DMARC before it was changed on its way.

An ARC chain that passes proves who sealed, not that they are honest (RFC 8617 section 9.5). Only
the unbroken run of listed sealers at the end of the chain is believed: whoever sealed before them
may have written anything, and whoever sealed behind them may have changed everything.
"""

from __future__ import annotations

from collections.abc import Collection

from msgauth.arc import ArcHop, ArcResult
from msgauth.authres import AuthresError, parse
from msgauth.results import ArcStatus


def voucher(arc: ArcResult | None, listed: Collection[str], author_domain: str) -> str:
    """The domain of the listed sealer that saw a pass for this author; empty without one.

    `listed` and `author_domain` are in A-labels and lower-case.
    """
    if arc is None or arc.status is not ArcStatus.PASS or not author_domain:
        return ""
    oldest: ArcHop | None = None
    for hop in reversed(arc.hops):
        if hop.domain not in listed:
            break
        oldest = hop
    # the first of them got the message as it was when it came into listed hands
    if oldest is None or not _saw_pass(oldest, author_domain):
        return ""
    return oldest.domain


def _saw_pass(hop: ArcHop, author_domain: str) -> bool:
    try:
        results = parse(hop.payload).of("dmarc")
    except AuthresError:
        return False
    return any(
        result.result == "pass"
        and author_domain
        in (
            item.value.lower()
            for item in result.properties
            if (item.ptype, item.name) == ("header", "from")
        )
        for result in results
    )
