"""Check of a domain's DNS against the records that it should have, and those to publish.

`check` asks; `DomainReport` says what was found, as text, as JSON and as a zone file.
"""

from accounts.dnscheck.check import check
from accounts.dnscheck.expectations import Expectations, MailHost, Service
from accounts.dnscheck.finding import DnsFinding, FindingLevel
from accounts.dnscheck.report import DomainReport, WebFile
from accounts.dnscheck.together import Batch, one_by_one, solve_together

__all__ = [
    "Batch",
    "DnsFinding",
    "DomainReport",
    "Expectations",
    "FindingLevel",
    "MailHost",
    "Service",
    "WebFile",
    "check",
    "one_by_one",
    "solve_together",
]
