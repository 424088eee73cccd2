"""One-time codes of six digits that an app makes from a secret and the time (RFC 6238)."""

from __future__ import annotations

import hmac
import os
from typing import Final
from urllib.parse import quote

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

STEP: Final = 30
"""Seconds for which an app shows a code."""
DIGITS: Final = 6
SKEW: Final = 1
"""Steps by which the clock of an app may differ."""
SECRET: Final = 20
"""Octets of a secret (RFC 4226 section 4, R6)."""


def new_secret() -> bytes:
    """Return a secret."""
    return os.urandom(SECRET)


def code_at(secret: bytes, step: int) -> str:
    """Return the code of a step, which is the time divided by `STEP`."""
    # apps know no other hash; HMAC needs no resistance to collisions (RFC 6238 section 1.2)
    made = TOTP(secret, DIGITS, SHA1(), STEP)  # noqa: S303
    return made.generate(step * STEP).decode()


def matching_step(secret: bytes, code: str, now: float) -> int | None:
    """Return the step that a code belongs to, within `SKEW` steps of now; None if there is none."""
    present, found = int(now) // STEP, None
    # RFC 6238 section 5.2: one step for the delay of people and clocks
    for step in range(present - SKEW, present + SKEW + 1):
        if step >= 0 and hmac.compare_digest(
            code_at(secret, step).encode(), code.encode("utf-8", "replace")
        ):
            found = step
    return found


def uri(secret_text: str, issuer: str, name: str) -> str:
    """Return the text of the QR code that an app reads."""
    label = f"{quote(issuer, safe='')}:{quote(name, safe='@')}"
    return f"otpauth://totp/{label}?secret={secret_text}&issuer={quote(issuer, safe='')}"
