"""SMTP replies of the daemons through Postfix (RFC 5321 section 4.2, RFC 3463).

A reply has a short text for the client, which ends with the reason id, and a cause for the log. The
reason id is the same in log, metrics and docs/reference/replies.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\Z")
_UNSAFE = re.compile(r"[^\x20-\x7e]+")

MAX_TEXT = 400
"""Maximum octets of reply text: RFC 5321 section 4.5.3.1.5 allows a line of 512."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """The meaning of a reason id, and its codes, such as ``450 4.7.1``."""

    text: str
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """One SMTP reply.

    `code` is 4xx or 5xx, `enhanced` the enhanced status code of the same class (RFC 3463), `text`
    the text for the client, `reason` the reason id appended to the text, `cause` the text for the
    log only. Raises `ValueError` if code and enhanced code do not agree.
    """

    code: int
    enhanced: str
    text: str
    reason: str = ""
    cause: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not 400 <= self.code <= 599:
            raise ValueError(f"an SMTP refusal is 4xx or 5xx, not {self.code}")
        # RFC 2034 section 4: the class of the enhanced code is the first digit of the reply code
        if not _ENHANCED.match(self.enhanced) or self.enhanced[0] != str(self.code)[0]:
            raise ValueError(f"enhanced status code {self.enhanced} does not match {self.code}")

    @property
    def public_text(self) -> str:
        """Text and reason id on one line of printable US-ASCII, limited to `MAX_TEXT`."""
        text = _UNSAFE.sub(" ", self.text).strip()
        suffix = f" [{self.reason}]" if self.reason else ""
        return text[: MAX_TEXT - len(suffix)] + suffix

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.public_text}"
