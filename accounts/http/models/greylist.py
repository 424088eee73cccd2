"""Models of the greylist: searches in it, and exceptions from it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from accounts.http.models.base import UNSET, RequestModel, ResponseModel, TimeField
from gatepost.greylist_exchange import MAX_TEXT

_TEXT = "An address, a network, a host name, or the address of a sender or a recipient."


class GreylistQuery(RequestModel):
    """A search in the greylist."""

    text: str = Field(
        min_length=1, max_length=MAX_TEXT, description=_TEXT + " A part of one is enough."
    )


class GreylistForget(RequestModel):
    """The records to forget."""

    text: str = Field(min_length=1, max_length=MAX_TEXT, description=_TEXT)


class GreylistRecordOut(ResponseModel):
    """A record of the greylist."""

    client: str = Field(description="The identity of the client, such as net:192.0.2.0/24.")
    sender: str = Field(description="Without the part that changes; empty for a bounce.")
    recipient: str
    is_client: bool = Field(description="It is about the client as a whole.")
    state: str = Field(description="What happens to the next attempt.")
    last: TimeField


class GreylistFoundOut(ResponseModel):
    """Answers of the policy servers."""

    items: list[GreylistRecordOut]
    forgotten: int = Field(description="Records that were forgotten.")
    answered: list[str] = Field(description="The hosts of the policy servers that answered.")
    missing: list[str] = Field(description="Those that did not.")
    problems: list[str] = Field(description="Why a policy server could not answer.")
    is_partial: bool = Field(description="There are more records, or not all were looked at.")
    is_hidden: bool = Field(
        description="The store has only digests: a whole name finds records, and only a global "
        "administrator may search."
    )


class GreylistExceptionAdd(RequestModel):
    """A new exception."""

    kind: Literal["client", "sender"]
    pattern: str = Field(
        max_length=1300,
        description="Of a client its address, network or host name; of a sender its address, or @ "
        "and a domain.",
    )
    note: str = Field(default=UNSET, max_length=4000, description="The reason.")


class GreylistExceptionOut(ResponseModel):
    """A client or a sender whose mail is not delayed."""

    id: int
    kind: str
    pattern: str
    domain: str | None = Field(description="The domain of the recipients; null for all.")
    note: str
    added_by: str
    created: TimeField
