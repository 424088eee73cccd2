"""Settings that the sections of all checks have in common."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gatepost.config import Section

FailureMode = Literal["open", "tempfail", "closed"]


class CheckSection(Section):
    """The settings in the section of every check."""

    enabled: bool = Field(default=True, description="Whether the check runs.")
    dry_run: bool = Field(
        default=False,
        description="Run the check, and log and count what it would have done, but leave it out "
        "of the answer to Postfix.",
    )
    failure_mode: FailureMode = Field(
        default="open",
        description="The answer when the check gets no result because its store or DNS is down "
        "or the time is up: `open` continues as if the check had no objection, `tempfail` "
        "defers the mail with 451, `closed` refuses it with 554.",
    )
