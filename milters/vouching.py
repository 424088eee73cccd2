"""Listed ARC sealers that saw a message pass DMARC before it was changed on its way.

An ARC chain that passes proves who sealed, not that they are honest (RFC 8617 section 9.5). Only
the unbroken run of listed sealers at the end of the chain is trusted: earlier sealers may have
written anything, and later ones may have changed everything.
"""

from __future__ import annotations

from collections.abc import Collection

from msgauth.arc import ArcHop, ArcResult
from msgauth.authres import AuthenticationResults, AuthresError, dmarc_passed, parse
from msgauth.results import ArcStatus


def voucher(arc: ArcResult | None, listed: Collection[str], author_domain: str) -> str:
    """Return the domain of the listed sealer that saw a pass for this author, or the empty string.

    `listed` and `author_domain` are in A-labels and lower-case.
    """
    if arc is None or arc.status is not ArcStatus.PASS or not author_domain:
        return ""
    run: list[ArcHop] = []
    for hop in reversed(arc.hops):
        if hop.domain not in listed:
            break
        run.append(hop)
    if not run:
        return ""
    try:
        said = [parse(hop.payload) for hop in run]
    except AuthresError:
        return ""
    if not all(map(_saw_chain, run, said)):
        return ""
    # the first of them received the message before any listed sealer could change it
    return run[-1].domain if dmarc_passed(said[-1], author_domain) else ""


def _saw_chain(hop: ArcHop, said: AuthenticationResults) -> bool:
    """Return whether a sealer's arc result for the previous chain, if any, agrees with its seal.

    The seal of a chain that passes says cv=none first and cv=pass later (RFC 8617 section 5.2 step
    3): a sealer that found the chain broken, and sealed it as good, contradicts itself.
    """
    possible = {"pass"} if hop.instance > 1 else {"none", "pass"}
    return all(
        result.result in possible and result.version == 1
        for result in said.results
        if result.method == "arc"
    )
