"""What the sections of all checks have in common."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gatepost.config import Section

FailureMode = Literal["open", "tempfail", "closed"]


class CheckSection(Section):
    """The part that every check's section has."""

    enabled: bool = Field(default=True, description="Whether the check is asked at all.")
    dry_run: bool = Field(
        default=False,
        description="The check is asked and what it would have done is logged and counted, but "
        "Postfix is told nothing of it.",
    )
    failure_mode: FailureMode = Field(
        default="open",
        description="What is answered when the check cannot find out (its store or DNS is down, "
        "the time is up): `open` goes on as if it had nothing to say, `tempfail` defers the mail "
        "with 451, `closed` refuses it with 554.",
    )
