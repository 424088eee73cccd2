"""Mail authentication without I/O: DKIM, SPF, DMARC, ARC and Authentication-Results.

``msgauth.verify()`` checks a message, ``sign()`` and ``seal()`` sign one, and ``solve()`` gets the
DNS answers that they need. docs/library.md shows how.

Nothing in this package opens a socket, reads a clock or the environment, draws a random number or
logs. Functions that need DNS are generators that yield questions (`msgauth.ask`); functions that
need the time take it as an argument.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from msgauth.address import AddressError, IpAddress
    from msgauth.arc import ArcHop, ArcResult, ArcSealer, ArcVerifier, SealSpec
    from msgauth.ask import NXDOMAIN, TEMPFAIL, Answer, Lookup, Question, Rcode, RdType, Share
    from msgauth.authres import AuthresError, fields_to_remove, format_field
    from msgauth.checks import CheckOptions, Findings, MessageChecks, Transaction
    from msgauth.dictionary import answers_from
    from msgauth.dkim import (
        Canonicalization,
        DkimResult,
        HeaderPolicy,
        MessageSigner,
        MessageVerifier,
        SignatureSpec,
        SigningError,
        VerifierLimits,
    )
    from msgauth.dmarc import Alignment, Author, DmarcResult, Policy, check_dmarc, find_author
    from msgauth.drive import asolve, solve
    from msgauth.errors import MsgauthError
    from msgauth.iprev import IprevResult, check_iprev
    from msgauth.keys import BadKeyError, SigningKey
    from msgauth.mail_address import MailAddress
    from msgauth.message import HeaderField, MessageError, parse_message
    from msgauth.results import (
        ArcStatus,
        DkimStatus,
        DmarcStatus,
        Finding,
        IprevStatus,
        Property,
        SpfStatus,
    )
    from msgauth.signing import seal, sign
    from msgauth.spf import SpfResult, check_spf
    from msgauth.trace import Asked, Found, Trace
    from msgauth.verification import verify, verify_arc, verify_dkim

__all__ = [
    "NXDOMAIN",
    "TEMPFAIL",
    "AddressError",
    "Alignment",
    "Answer",
    "ArcHop",
    "ArcResult",
    "ArcSealer",
    "ArcStatus",
    "ArcVerifier",
    "Asked",
    "Author",
    "AuthresError",
    "BadKeyError",
    "Canonicalization",
    "CheckOptions",
    "DkimResult",
    "DkimStatus",
    "DmarcResult",
    "DmarcStatus",
    "Finding",
    "Findings",
    "Found",
    "HeaderField",
    "HeaderPolicy",
    "IpAddress",
    "IprevResult",
    "IprevStatus",
    "Lookup",
    "MailAddress",
    "MessageChecks",
    "MessageError",
    "MessageSigner",
    "MessageVerifier",
    "MsgauthError",
    "Policy",
    "Property",
    "Question",
    "Rcode",
    "RdType",
    "SealSpec",
    "Share",
    "SignatureSpec",
    "SigningError",
    "SigningKey",
    "SpfResult",
    "SpfStatus",
    "Trace",
    "Transaction",
    "VerifierLimits",
    "answers_from",
    "asolve",
    "check_dmarc",
    "check_iprev",
    "check_spf",
    "fields_to_remove",
    "find_author",
    "format_field",
    "parse_message",
    "seal",
    "sign",
    "solve",
    "verify",
    "verify_arc",
    "verify_dkim",
]

_HOMES: Final = {
    "msgauth.address": "AddressError IpAddress",
    "msgauth.arc": "ArcHop ArcResult ArcSealer ArcVerifier SealSpec",
    "msgauth.ask": "NXDOMAIN TEMPFAIL Answer Lookup Question Rcode RdType Share",
    "msgauth.authres": "AuthresError fields_to_remove format_field",
    "msgauth.checks": "CheckOptions Findings MessageChecks Transaction",
    "msgauth.dictionary": "answers_from",
    "msgauth.dkim": "Canonicalization DkimResult HeaderPolicy MessageSigner MessageVerifier"
    " SignatureSpec SigningError VerifierLimits",
    "msgauth.dmarc": "Alignment Author DmarcResult Policy check_dmarc find_author",
    "msgauth.drive": "asolve solve",
    "msgauth.errors": "MsgauthError",
    "msgauth.iprev": "IprevResult check_iprev",
    "msgauth.keys": "BadKeyError SigningKey",
    "msgauth.mail_address": "MailAddress",
    "msgauth.message": "HeaderField MessageError parse_message",
    "msgauth.results": "ArcStatus DkimStatus DmarcStatus Finding IprevStatus Property SpfStatus",
    "msgauth.signing": "seal sign",
    "msgauth.spf": "SpfResult check_spf",
    "msgauth.trace": "Asked Found Trace",
    "msgauth.verification": "verify verify_arc verify_dkim",
}
"""The modules of the public names. Each name is imported when it is first used: importing any part
of this package runs this module, too, and the policy server, for example, needs neither DKIM nor
cryptography."""

if not TYPE_CHECKING:  # otherwise type checkers would accept misspelt names

    def __getattr__(name: str) -> object:
        for home, names in _HOMES.items():
            if name in names.split():
                value = getattr(import_module(home), name)
                globals()[name] = value  # once is enough
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
