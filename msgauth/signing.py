"""Signatures and seals for a whole message in memory.

For a message that arrives in pieces there are `MessageSigner` and `ArcSealer`.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgauth.arc import ArcSealer, SealSpec, results_payload
from msgauth.checks import Findings
from msgauth.dkim import MessageSigner, SignatureSpec, SigningError
from msgauth.message import HeaderField, parse_message


def sign(message: bytes, specs: Iterable[SignatureSpec], *, now: int) -> tuple[HeaderField, ...]:
    """Return a DKIM-Signature field for each of `specs`, in their order (RFC 6376 section 5).

    `message` is header and body as they leave, with CRLF or LF line ends; it is sent with CRLF. The
    fields belong on top of it: ``bytes(field)`` is the field with its CRLF. `now` is the time in
    seconds since 1970 in UTC.

    Whoever signs vouches for the message: make sure first that its author may send it. Raises
    `SigningError` for a message without exactly one From field, and for one with so many fields
    that h= could not name them, and `MessageError` for a header that is too large.
    """
    fields, body = parse_message(message)
    signer = MessageSigner(specs, fields)
    signer.body(body)
    return signer.finish(now)


def seal(
    message: bytes, spec: SealSpec, findings: Findings, *, authserv_id: str, now: int
) -> tuple[HeaderField, ...]:
    """Return the ARC set of a message that is passed on (RFC 8617 section 5.1).

    `message` is header and body as they leave, changed or not, with all fields but the new set.
    `spec` says who seals. `findings` is the result of `verify` for the message as it arrived,
    `authserv_id` the name of this host in the results that the set keeps. `now` is the time in
    seconds since 1970 in UTC.

    The three fields belong on top of the message in this order. There are none when the chain was
    sealed as broken before: then no set may be added (section 5.1 step 2). Raises `SigningError`
    when no set can be made: ARC was not checked or its keys could not be had, the message has 50
    sets, or its chain is another one than that in `findings`. Raises `AuthresError` for an empty
    `authserv_id` and `MessageError` for a header that is too large.
    """
    if findings.arc is None:
        raise SigningError("the ARC chain was not checked, so it cannot be sealed")
    fields, body = parse_message(message)
    sealer = ArcSealer(spec, fields)
    sealer.body(body)
    payload = results_payload(authserv_id, findings.all)
    return sealer.finish(now, findings.arc, payload)
