"""Asks one name server, over UDP and TCP, without recursion and without any cache."""

from __future__ import annotations

from collections.abc import Callable

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype

from gatepost.dns.authoritative import NameServer, ServerAnswer, ServerQuestion
from gatepost.dns.names import MAX_RECORDS, to_name, to_text
from msgauth.ask import NXDOMAIN, Answer, Question, Rcode, RdType

_ATTEMPTS = 2  # a datagram may get lost
_EDNS_PAYLOAD = 1232  # DNS flag day 2020: fits every path without fragments


class ServerError(Exception):
    """The server gives no answer that could be used; the text says why, as in "it answers ..."."""


def ask_server(question: ServerQuestion, timeout: float) -> ServerAnswer:
    """The answer of the one server; never raises. `timeout` is in seconds, for all attempts.

    A server that does not answer with authority is no name server of the name: TEMPFAIL.
    """
    name = to_name(question.name)
    if name is None:
        return ServerAnswer(NXDOMAIN.rcode)
    try:
        response = _exchange(name, question.rdtype, question.server, timeout)
    except ServerError as error:
        return ServerAnswer(Rcode.TEMPFAIL, why=str(error))
    return _read(response, name, question)


def find_zone(name: str, server: NameServer, timeout: float) -> str:
    """The zone of `server` that `name` is in or would be in, by its SOA; raises `ServerError`."""
    owner = to_name(name)
    if owner is None:
        raise ServerError(f"{name} is no name that DNS can hold")
    response = _exchange(owner, "SOA", server, timeout)
    # RFC 2308 section 3: a negative answer has the SOA of the zone in its authority section
    for rrset in (*response.answer, *response.authority):
        if rrset.rdtype == dns.rdatatype.SOA and owner.is_subdomain(rrset.name):
            return rrset.name.to_text(omit_final_dot=True).lower()
    raise ServerError("does not say which zone the name is in")


def _exchange(
    name: dns.name.Name, rdtype: RdType, server: NameServer, timeout: float
) -> dns.message.Message:
    query = dns.message.make_query(name, rdtype, use_edns=True, payload=_EDNS_PAYLOAD, flags=0)
    for attempt in range(_ATTEMPTS):
        try:
            response, _ = dns.query.udp_with_fallback(
                query,
                server.address,
                timeout=timeout / _ATTEMPTS,
                port=server.port,
                ignore_unexpected=True,
                ignore_errors=True,
            )
        except dns.exception.Timeout:
            if attempt == _ATTEMPTS - 1:
                raise ServerError(f"does not answer within {timeout:g} s") from None
        except OSError as error:
            raise ServerError(f"cannot be reached: {error.strerror or error}") from None
        except (dns.exception.DNSException, EOFError, ValueError) as error:
            raise ServerError(f"answers with nonsense: {error}") from None
        else:
            break
    rcode = response.rcode()
    if rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        raise ServerError(f"answers {dns.rcode.to_text(rcode)}")
    if not response.flags & dns.flags.AA:
        raise ServerError("answers without authority: it is no name server of the zone")
    return response


def _read(
    response: dns.message.Message, name: dns.name.Name, question: ServerQuestion
) -> ServerAnswer:
    wanted = dns.rdatatype.from_text(question.rdtype)
    names = {name}
    for rrset in response.answer:
        if rrset.name not in names:
            continue
        if rrset.rdtype == wanted:
            records = [to_text(rdata) for _, rdata in zip(range(MAX_RECORDS), rrset, strict=False)]
            return ServerAnswer(Rcode.OK, tuple(records), rrset.ttl)
        if rrset.rdtype == dns.rdatatype.CNAME:
            names.update(rdata.target for rdata in rrset)
    nonexistent = response.rcode() == dns.rcode.NXDOMAIN
    return ServerAnswer(Rcode.NXDOMAIN if nonexistent else Rcode.OK)


def with_servers(
    resolve: Callable[[Question], Answer], timeout: float
) -> Callable[[Question], Answer]:
    """A way to ask that also takes a `ServerQuestion`, for `gatepost.dns.solve`."""

    def ask(question: Question) -> Answer:
        if isinstance(question, ServerQuestion):
            return ask_server(question, timeout)
        return resolve(question)

    return ask
