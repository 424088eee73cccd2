"""Sender Policy Framework (RFC 7208): may this client send for this domain?

`check_mail_from` and `check_helo` are lookups that return an `SpfResult`; `received_spf` writes
it into a Received-SPF header field.
"""

from msgauth.spf.check import check_helo, check_mail_from
from msgauth.spf.received import received_spf
from msgauth.spf.result import Identity, SpfResult

__all__ = ["Identity", "SpfResult", "check_helo", "check_mail_from", "received_spf"]
