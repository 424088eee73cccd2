"""DMARC (RFC 9989): does a passing identifier align with the domain in From?

`find_author` reads From, `check_dmarc` is the lookup that returns a `DmarcResult`, and `DmarcCheck`
does the same in the order that is most robust against the sender. The organizational domain is
found by the DNS tree walk; there is no public suffix list.
"""

from msgauth.dmarc.author import Author, find_author
from msgauth.dmarc.check import RESERVED, DmarcCheck, check_dmarc
from msgauth.dmarc.record import DmarcRecord, Policy
from msgauth.dmarc.result import Alignment, DmarcResult

__all__ = [
    "RESERVED",
    "Alignment",
    "Author",
    "DmarcCheck",
    "DmarcRecord",
    "DmarcResult",
    "Policy",
    "check_dmarc",
    "find_author",
]
