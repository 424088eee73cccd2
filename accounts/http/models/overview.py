"""Models of the overview of the system."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from accounts.http.models.base import OctetField, ResponseModel, TimeField


class QueueDestinationOut(ResponseModel):
    """A domain for whose recipients mail waits."""

    domain: str = Field(description="Empty for recipients on the host itself.")
    recipients: int
    oldest: TimeField
    reason: str = Field(description="One that Postfix has told, or empty.")


class MailQueueOut(ResponseModel):
    """The queue of a Postfix."""

    at: TimeField
    incoming: int
    active: int
    deferred: int
    hold: int
    maildrop: int
    oldest: int | None = Field(description="When the oldest mail came that is not on hold.")
    is_old: bool = Field(description="It has waited for more than four hours.")
    is_partial: bool = Field(description="There is more than was counted.")
    destinations: list[QueueDestinationOut] = Field(
        description="Those with the most recipients who wait."
    )


class DaemonStateOut(ResponseModel):
    """A daemon that was heard of within a day."""

    component: str = Field(description="milters, policyd, delivery, accounts or postfix.")
    instance: str = Field(description="The name of its host or pod.")
    version: str
    started: TimeField
    heard: TimeField
    is_well: bool = Field(description="It reports, and reports no problem.")
    is_silent: bool = Field(description="Its reports are missing.")
    problems: list[str] = Field(description="Why it takes no mail.")
    remarks: list[str] = Field(description="What works less well.")
    queue: MailQueueOut | None = Field(description="Null unless it is a postfix.")


class MailCountOut(ResponseModel):
    """Recipients with one outcome."""

    outcome: str
    yesterday: int = Field(description="On the day before, in UTC.")
    last_day: int = Field(description="In the last 24 hours.")


class WorryingKeyOut(ResponseModel):
    """A DKIM key that somebody should look at, or a domain without one."""

    domain: str
    selector: str = Field(description="Empty if the domain has no key that signs.")
    worry: str = Field(description="old, waiting or missing.")
    since: int | None = Field(description="When it was made or activated.")


class DomainCheckOut(ResponseModel):
    """Result of the last check of a domain with errors."""

    domain: str
    at: TimeField
    wrong: list[dict[str, Any]] = Field(description="The findings that are not right.")


class CheckedDomainsOut(ResponseModel):
    """State of domains in DNS, from the last check of each."""

    wrong: list[DomainCheckOut] = Field(description="Some of those with errors.")
    with_errors: int
    with_advice: int
    right: int
    unchecked: int = Field(description="Domains that were never checked.")


class DiskSpaceOut(ResponseModel):
    """Space of the datastore or of the journal."""

    name: str
    used: OctetField
    free: int | None = Field(description="Octets; null for a database on a server.")
    total: int | None = Field(description="Octets; null for a database on a server.")
    is_low: bool = Field(description="Less than a tenth is free.")


class OverviewOut(ResponseModel):
    """State of the system, as far as the caller may see it. Nothing is asked for it."""

    at: TimeField
    daemons: list[DaemonStateOut] | None = Field(
        description="Null for administrators of some domains."
    )
    mail: list[MailCountOut] | None = Field(
        description="Recipients by outcome; null without a journal, or if it does not answer."
    )
    keys: list[WorryingKeyOut]
    domains: CheckedDomainsOut
    disks: list[DiskSpaceOut] | None = Field(description="Null for administrators of some domains.")
    journal_days: int = Field(description="Days for which decisions about mail are kept; 0: none.")
