"""Models of searches for mail, and of what became of it."""

from __future__ import annotations

from pydantic import Field

from accounts.http.models.base import UNSET, OctetField, RequestModel, ResponseModel
from accounts.journal.mail_state import MailState
from accounts.journal.place import MAX_KEY
from accounts.journal.question import MAX_MAILS, MAX_WORD, MAX_WORDS


class TraceQuery(RequestModel):
    """A search for mail."""

    words: str = Field(
        default="",
        max_length=MAX_WORDS * (MAX_WORD + 1),
        description=f"Up to {MAX_WORDS} words, separated by blanks, all of which must match: an "
        "address, a Message-ID, a queue id, a reason id, or the address of a client.",
    )
    since: int = Field(default=UNSET, ge=0, description="Decisions from this time on.")
    until: int = Field(default=UNSET, ge=0, description="Decisions before this time.")
    after: str = Field(
        default=UNSET,
        max_length=MAX_KEY,
        description="Where the page before this one ended, as its Link says.",
    )
    limit: int = Field(default=20, ge=1, le=MAX_MAILS, description="Mails, the latest ones.")


class TraceEventOut(ResponseModel):
    """A decision."""

    at: float = Field(description="Seconds since the epoch.")
    daemon: str = Field(description="policy server, milter, delivery or Postfix.")
    text: str
    reason: str = Field(description="The reason id, or empty.")
    reply: str = Field(description="The reply to the client or of the mail store, or empty.")


class TraceOut(ResponseModel):
    """The story of a mail to one recipient."""

    state: str = Field(description=", ".join(MailState) + ".")
    sentence: str = Field(description="What became of the mail.")
    advice: str = Field(description="What to do next, or empty.")
    sender: str = Field(description="The address in MAIL FROM; empty for a bounce.")
    recipient: str
    client: str
    queue_id: str
    message_id: str
    size: OctetField
    first: float = Field(description="The time of the first decision.")
    last: float = Field(description="The time of the last decision.")
    events: list[TraceEventOut]
