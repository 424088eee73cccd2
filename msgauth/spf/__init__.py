"""Sender Policy Framework (RFC 7208): may this client send for this domain?

`check_spf` is the lookup that returns an `SpfResult`, `check_mail_from` and `check_helo` do the
same for one identity; `received_spf` writes the result into a Received-SPF header field.
"""

from msgauth.spf.check import check_helo, check_mail_from, check_spf
from msgauth.spf.received import received_spf
from msgauth.spf.result import Identity, SpfResult

__all__ = ["Identity", "SpfResult", "check_helo", "check_mail_from", "check_spf", "received_spf"]
