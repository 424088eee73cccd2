"""Actions of a rule, and the commands of the Sieve language that they become."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from accounts.sieve.conditions import check_period, period
from accounts.sieve.fields import (
    Distinct,
    FieldValue,
    MailboxName,
    MessageText,
    SieveAddress,
    ZoneOffset,
)
from accounts.sieve.part import Part, RulePart, all_of, part
from accounts.sieve.text import multi_line, quote, quote_list

# RFC 3501 section 2.3.2, without \Recent, which nobody may set; a keyword is an atom
Flag: TypeAlias = Annotated[
    str, Field(pattern=r"\A(?:\\(?:Seen|Answered|Flagged|Deleted|Draft)|[A-Za-z0-9$_.-]{1,50})\z")
]


class FileInto(RulePart):
    """Store the message in a mailbox; `copy` leaves the delivery as it is (RFC 3894)."""

    kind: Literal["fileinto"] = "fileinto"
    mailbox: MailboxName
    copy_: Annotated[bool, Field(alias="copy")] = False
    create: bool = True
    """True if a missing mailbox is to be created (RFC 5490 section 3.2)."""

    def written(self) -> Part:
        """Return the command."""
        copy, create = " :copy" * self.copy_, " :create" * self.create
        return part(
            f"fileinto{copy}{create} {quote(self.mailbox)};",
            "fileinto",
            "copy" * self.copy_,
            "mailbox" * self.create,
        )


class Keep(RulePart):
    """Keep the message in the inbox, as without a rule (RFC 5228 section 4.3)."""

    kind: Literal["keep"] = "keep"

    def written(self) -> Part:
        """Return the command."""
        return part("keep;")


class Discard(RulePart):
    """Discard the message, unless another action stores it (RFC 5228 section 4.4)."""

    kind: Literal["discard"] = "discard"

    def written(self) -> Part:
        """Return the command."""
        return part("discard;")


class Redirect(RulePart):
    """Redirect the message; without `copy` it is not delivered here (RFC 5228 section 4.2)."""

    kind: Literal["redirect"] = "redirect"
    address: SieveAddress
    copy_: Annotated[bool, Field(alias="copy")] = True

    def written(self) -> Part:
        """Return the command."""
        return part(f"redirect{' :copy' * self.copy_} {quote(self.address)};", "copy" * self.copy_)


class AddFlags(RulePart):
    """Set flags on messages that this and later rules store (RFC 5232 section 3.2)."""

    kind: Literal["add_flags"] = "add_flags"
    flags: Annotated[tuple[Flag, ...], Field(min_length=1, max_length=20), Distinct]

    def written(self) -> Part:
        """Return the command."""
        return part(f"addflag {quote_list(self.flags)};", "imap4flags")


class MarkRead(RulePart):
    """Mark messages that this and later rules store as read."""

    kind: Literal["mark_read"] = "mark_read"

    def written(self) -> Part:
        """Return the command."""
        return part("addflag " + quote("\\Seen") + ";", "imap4flags")


class Reject(RulePart):
    """Return the message to its sender with a text (RFC 5429 section 2.2)."""

    kind: Literal["reject"] = "reject"
    text: Annotated[MessageText, Field(max_length=1000)]

    def written(self) -> Part:
        """Return the command."""
        return part(f"reject {multi_line(self.text)};", "reject")


class Vacation(RulePart):
    """Answer the sender, at most once in `days` days (RFC 5230).

    It answers from the day `since` to the day `until`, both included, in the time of `zone`, or of
    the server. `addresses` are further addresses of the owner: a message to none of his addresses
    gets no answer (section 4.5).
    """

    kind: Literal["vacation"] = "vacation"
    text: MessageText
    subject: FieldValue | None = None
    days: Annotated[int, Field(ge=1, le=30)] = 7
    addresses: Annotated[tuple[SieveAddress, ...], Field(max_length=50), Distinct] = ()
    since: datetime.date | None = None
    until: datetime.date | None = None
    zone: ZoneOffset | None = None

    @model_validator(mode="after")
    def _period(self) -> Vacation:
        check_period(self.since, self.until)
        return self

    def written(self) -> Part:
        """Return the command, within its period."""
        words = ["vacation", f":days {self.days}"]
        if self.subject is not None:
            words.append(f":subject {quote(self.subject)}")
        if self.addresses:
            words.append(f":addresses {quote_list(self.addresses)}")
        command = part(f"{' '.join(words)} {multi_line(self.text)};", "vacation")
        tests = list(period(self.since, self.until, self.zone))
        if not tests:
            return command
        test = all_of(tests)
        return Part(f"if {test.text} {{\r\n{command.text}\r\n}}", test.requires | command.requires)


class Stop(RulePart):
    """Skip the later rules (RFC 5228 section 3.3)."""

    kind: Literal["stop"] = "stop"

    def written(self) -> Part:
        """Return the command."""
        return part("stop;")


RuleAction: TypeAlias = Annotated[
    FileInto | Keep | Discard | Redirect | AddFlags | MarkRead | Reject | Vacation | Stop,
    Field(discriminator="kind"),
]
