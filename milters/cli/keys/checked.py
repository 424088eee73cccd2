"""Queries of all name servers about keys, and output of the answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gatepost.cli.output import tell
from milters.cli.keys.options import describe, kind
from milters.cli.keys.progress import Progress
from milters.keys.checked import CheckedKey, CheckedKeys, check_keys
from milters.keys.folder import KeyFile
from milters.keys.servers import Servers


def look_at(keys: Sequence[KeyFile], servers: Servers) -> CheckedKeys:
    """Query all keys at once; on a terminal it shows the progress."""
    with Progress("keys", len(keys)) as progress:
        return check_keys(keys, servers, progress.advance)


def as_json(one: CheckedKey) -> dict[str, Any]:
    """Return the check in the form for `--json`."""
    return {
        **describe(one.key, one.signing),
        "seen": str(one.found.seen),
        "reason": one.found.reason,
        "note": one.found.note,
        "servers": [
            {
                "server": str(sight.said.server),
                "name": sight.said.name,
                "seen": str(sight.publication.seen),
                "reason": sight.publication.reason,
            }
            for sight in one.sights
        ],
    }


def show(one: CheckedKey) -> None:
    """Print the check, with one line per server that does not have the record."""
    described = describe(one.key, one.signing)
    hosts = {sight.said.server.host for sight in one.sights}
    head = f"{one.key.selector} of {one.key.domain} ({kind(described)}, {one.key.state})"
    if one.is_published:
        tell(f"{head}: published at {', '.join(sorted(hosts))}")
        if one.found.note:
            tell(f"  but {one.found.note}")
        return
    tell(f"{head}: {one.found.seen}" + ("" if one.sights else one.found.reason))
    for sight in one.sights:
        reason = sight.publication.reason or "has the record"
        tell(f"  {sight.said.server}: {reason}")
