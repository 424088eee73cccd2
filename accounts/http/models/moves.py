"""Models of moves of mailboxes between mail stores."""

from __future__ import annotations

from pydantic import Field

from accounts.http.models.base import PageQuery, RequestModel, ResponseModel, TimeField


class MoveAsk(RequestModel):
    """The store that a mailbox is to be moved to."""

    store: str = Field(max_length=63, description="Its name in `accounts.stores.named`.")


class MoveOut(ResponseModel):
    """A mailbox on its way to another mail store."""

    address: str
    source: str = Field(description="The store that it leaves.")
    target: str = Field(description="The store that it goes to.")
    phase: str = Field(
        description="copy: its mail is copied while it is used. lock: for some seconds, nobody "
        "opens it. settle: it is used in the new store, and its copy in the old one is removed "
        "later."
    )
    asked: TimeField
    asked_by: str
    due: TimeField = Field(description="Time of the next step.")
    failures: int = Field(description="Failures in a row; each step is tried again.")
    problem: str = Field(description="Reason of the last failure, or empty.")


class MoveQuery(PageQuery):
    """A page of the moves in progress."""
