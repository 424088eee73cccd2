"""Models of mail in quarantine."""

from __future__ import annotations

from pydantic import Field

from accounts.http.models.base import MAX_LIMIT, OctetField, RequestModel, ResponseModel


class QuarantineQuery(RequestModel):
    """A page of the latest mail in quarantine."""

    limit: int = Field(default=100, ge=1, le=MAX_LIMIT, description="Mails, the latest ones.")


class HeldMailOut(ResponseModel):
    """A mail in quarantine, with the recipients that the caller may see."""

    holder: str = Field(description="The name of the process that has it.")
    id: str = Field(description="Its id there.")
    kind: str = Field(
        description="virus: in the folder of delivery; hold: in Postfix's hold queue; "
        "unreadable: a file in the folder of delivery that cannot be read."
    )
    held_at: float = Field(description="Seconds since the epoch.")
    sender: str = Field(description="The address in MAIL FROM; empty for a bounce.")
    recipients: list[str] = Field(description="Some of the recipients.")
    recipient_count: int
    has_others: bool = Field(
        description="Whether it has recipients in domains that the caller does not manage."
    )
    reason: str = Field(description="The name of the virus, or the reason that Postfix gives.")
    size: OctetField
    queue_id: str
    message_id: str
    author: str = Field(description="The From field, or empty if it is not known yet.")
    subject: str
    note: str = Field(description="A sentence for the administrator, or empty.")


class MissingHolderOut(ResponseModel):
    """A holder of mail that did not answer."""

    address: str
    problem: str


class QuarantineOut(ResponseModel):
    """The latest mail in quarantine."""

    mails: list[HeldMailOut]
    missing: list[MissingHolderOut] = Field(description="Holders whose mail is not in the list.")
    has_more: bool = Field(description="Whether there is older mail.")
    is_configured: bool = Field(description="Whether any holder is configured.")


class SeenFieldOut(ResponseModel):
    """A header field, decoded."""

    name: str
    value: str


class SeenPartOut(ResponseModel):
    """A part of a mail."""

    media_type: str
    name: str = Field(description="The name of its file, or empty.")
    octets: OctetField


class QuarantinedMailOut(ResponseModel):
    """A mail in quarantine, as text: nothing of it is HTML."""

    mail: HeldMailOut
    fields: list[SeenFieldOut]
    text: str
    is_html: bool = Field(description="Whether the text was made from HTML.")
    parts: list[SeenPartOut]
    is_cut: bool = Field(description="Whether something was left out.")


class QuarantinedMessageOut(ResponseModel):
    """The octets of a mail in quarantine."""

    content: str = Field(description="The message, in base64.")


class KeptRecipientOut(ResponseModel):
    """A recipient to whom a mail could not be released."""

    recipient: str
    reply: str = Field(description="The reply of the mail store.")


class QuarantineReleaseOut(ResponseModel):
    """The outcome of a release."""

    released: list[str] = Field(description="Recipients who have the mail now.")
    kept: list[KeptRecipientOut] = Field(
        description="Recipients for whom it is still in quarantine."
    )
