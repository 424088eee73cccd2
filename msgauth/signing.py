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

    `message` is the outgoing header and body, with CRLF or LF line ends; send it with CRLF. Put the
    fields at its top: ``bytes(field)`` is the field with its CRLF. `now` is the time in seconds
    since 1970 in UTC.

    A signer vouches for the message: check first that its author may send it. Raises `SigningError`
    for a message without exactly one From field or with too many fields for h=, and `MessageError`
    for a header that is too large.
    """
    fields, body = parse_message(message)
    signer = MessageSigner(specs, fields)
    signer.body(body)
    return signer.finish(now)


def seal(
    message: bytes, spec: SealSpec, findings: Findings, *, authserv_id: str, now: int
) -> tuple[HeaderField, ...]:
    """Return the ARC set of a forwarded message (RFC 8617 section 5.1).

    `message` is the outgoing header and body, changed or not, with all fields except the new set.
    `spec` has domain and key of the seal. `findings` is the result of `verify` for the message as
    it arrived, `authserv_id` the name of this host in the results in the set. `now` is the time in
    seconds since 1970 in UTC.

    Put the three fields at the top of the message in this order. There are none if the chain is
    already sealed as broken: then no set may be added (section 5.1 step 2). Raises `SigningError`
    if no set can be made: ARC was not checked or its keys could not be fetched, the message has 50
    sets, or its chain differs from that in `findings`. Raises `AuthresError` for an empty
    `authserv_id` and `MessageError` for a header that is too large.
    """
    if findings.arc is None:
        raise SigningError("the ARC chain was not checked, so it cannot be sealed")
    fields, body = parse_message(message)
    sealer = ArcSealer(spec, fields)
    sealer.body(body)
    payload = results_payload(authserv_id, findings.all)
    return sealer.finish(now, findings.arc, payload)
