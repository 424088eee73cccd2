"""Checks of a whole message in memory.

For a message that arrives in pieces there are `MessageChecks` and the verifiers of each method.
"""

from __future__ import annotations

from msgauth.address import IpAddress, parse_address
from msgauth.arc import ArcResult, ArcVerifier
from msgauth.ask import Lookup
from msgauth.checks import DEFAULT_OPTIONS, CheckOptions, Findings, MessageChecks, Transaction
from msgauth.dkim import DkimResult, MessageVerifier, VerifierLimits
from msgauth.dkim.verify import DEFAULT_LIMITS
from msgauth.dmarc import find_author
from msgauth.mail_address import MailAddress
from msgauth.message import parse_message
from msgauth.trace import Trace


def verify(
    message: bytes,
    *,
    client: IpAddress | str | None,
    helo: str,
    mail_from: str,
    now: int,
    client_name: str = "",
    options: CheckOptions = DEFAULT_OPTIONS,
    trace: Trace | None = None,
) -> Lookup[Findings]:
    """Check a message from outside with SPF, DKIM, ARC and DMARC, and the name of its client.

    `message` is the received header and body, with CRLF or LF line ends. `client` is the address of
    the SMTP client; without it SPF cannot be checked, and DMARC is "temperror" if only SPF could
    have made it pass. `helo`, `mail_from` (with or without angle brackets) and `client_name` come
    from SMTP, see `Transaction`. `now` is the time in seconds since 1970 in UTC. `options` chooses
    the methods; `trace` records questions and findings.

    The DMARC policy of the author is queried first (RFC 9989 section 5.3), then identifiers that
    could be aligned with it, so that a sender with slow name servers cannot use up its time. Each
    method limits its questions, and `options.limits` the signatures.

    Raises `MessageError` for a header beyond `msgauth.message.MAX_HEADER` octets or `MAX_FIELDS`
    fields, and `AddressError` for an invalid client address, at once. The lookup itself never
    raises, whatever the message and DNS contain: the results report their errors.
    """
    fields, body = parse_message(message)
    author = find_author([field.value for field in fields if field.key == b"from"])
    address = None if client is None else parse_address(client)
    name = client_name.removesuffix(".").lower()
    transaction = Transaction(address, helo, MailAddress.parse_path(mail_from), name)
    checks = MessageChecks(transaction, fields, author, options, trace)
    checks.hashes.update(body)
    return checks.finish(now)


def verify_dkim(
    message: bytes, *, now: int, limits: VerifierLimits = DEFAULT_LIMITS
) -> Lookup[tuple[DkimResult, ...]]:
    """Verify the DKIM signatures of a message (RFC 6376 section 6).

    The result has one entry for each signature in the order of the message, or the one entry
    "none". `limits` bounds the work. For `message` and `now` see `verify`. Raises `MessageError`
    for a header that is too large, at once.
    """
    fields, body = parse_message(message)
    verifier = MessageVerifier(fields, limits)
    verifier.body(body)
    return verifier.finish(now)


def verify_arc(message: bytes, *, now: int) -> Lookup[ArcResult]:
    """Verify the ARC chain of a message (RFC 8617 section 5.2).

    A chain that passes shows who sealed it and the findings that each sealer claims. The caller
    decides whether to trust them. For `message` and `now` see `verify`. Raises `MessageError` for a
    header that is too large, at once.
    """
    fields, body = parse_message(message)
    verifier = ArcVerifier(fields)
    verifier.body(body)
    return verifier.finish(now)
