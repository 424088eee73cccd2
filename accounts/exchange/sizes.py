"""Sizes as other systems write them: `5G`, `500M`, `*:storage=1G`."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {"": 0, "b": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SIZE = re.compile(r"\s*([0-9]{1,15})\s*([bkmgt]?)(?:i?b)?\s*", re.IGNORECASE)


def parse_size(text: str, plain_unit: str = "b") -> int | None:
    """Return octets, None for 0, which means no limit everywhere.

    Units are powers of 1024; `plain_unit` is that of a number without one. Raises `ValueError`,
    which does not repeat the text.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError("expected a size such as 5G or 500M")
    octets = int(match[1]) << 10 * _UNITS[(match[2] or plain_unit).lower()]
    if octets >= 1 << 53:
        raise ValueError("the size is too large")
    return octets or None


def parse_quota_rule(rule: str) -> int | None:
    """Return the octets of Dovecot's `*:bytes=100M` or `*:storage=1G`; a plain `storage` is in KiB.

    Raises `ValueError` for rules of other folders and for limits that are no octets.
    """
    folder, _, limits = rule.partition(":")
    octets = None
    for limit in limits.split(":"):
        name, _, value = limit.partition("=")
        if folder != "*" or name not in ("bytes", "storage"):
            raise ValueError("only a quota in octets for all folders can be imported")
        octets = parse_size(value, "k" if name == "storage" else "b")
    return octets
