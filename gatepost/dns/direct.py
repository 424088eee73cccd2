"""Direct queries of one name server, over UDP and TCP, without recursion and cache."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

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

MAX_AT_ONCE = 32
"""Maximum name servers queried at the same time: those of one zone."""

_ATTEMPTS = 2  # a datagram may get lost
_EDNS_PAYLOAD = 1232  # DNS flag day 2020: fits every path without fragments


class ServerError(Exception):
    """The server gives no usable answer; the text says why, as in "it answers ..."."""


def ask_server(question: ServerQuestion, timeout: float) -> ServerAnswer:
    """Return the answer of the one server; never raises. `timeout` is in seconds, for all attempts.

    A server that does not answer with authority is not a name server of the name: TEMPFAIL.
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
    """Return the zone of `server` that contains or would contain `name`, by its SOA; raises
    `ServerError`."""
    owner = to_name(name)
    if owner is None:
        raise ServerError(f"{name} is not a valid DNS name")
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
            raise ServerError(f"sent a malformed answer: {error}") from None
        else:
            break
    rcode = response.rcode()
    if rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        raise ServerError(f"answers {dns.rcode.to_text(rcode)}")
    if not response.flags & dns.flags.AA:
        raise ServerError("answers without authority: it is not a name server of the zone")
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


class AllAtOnce:
    """Answers questions, also a `ServerQuestion`, for `msgauth.drive.solve` in several threads.

    All name servers for the same question are queried at once. One that does not answer is not
    queried again, because each of many names would wait for it. After `deadline`, a time of the
    monotonic clock, no more queries are sent, and open ones are TEMPFAIL. `timeout` is the time
    limit for one answer of one server in seconds.
    """

    def __init__(
        self, resolve: Callable[[Question, float], Answer], timeout: float, deadline: float
    ) -> None:
        self._resolve = resolve
        self._timeout = timeout
        self._deadline = deadline
        self._pool = ThreadPoolExecutor(MAX_AT_ONCE, "name-servers")
        self._lock = threading.Lock()
        self._asked: dict[ServerQuestion, Future[ServerAnswer]] = {}
        self._silent: dict[NameServer, ServerAnswer] = {}

    def ask(self, question: Question) -> Answer:
        """Return the answer; never raises."""
        if not isinstance(question, ServerQuestion):
            return self._resolve(question, self._deadline)
        mine = _alone(question, question.server)
        with self._lock:
            if mine not in self._asked:
                for server in {question.server, *question.beside}:
                    one = _alone(question, server)
                    if one not in self._asked:
                        self._asked[one] = self._pool.submit(self._ask, one)
            answer = self._asked.pop(mine)
        return answer.result()

    def _ask(self, question: ServerQuestion) -> ServerAnswer:
        if (before := self._silent.get(question.server)) is not None:
            return before
        left = self._deadline - time.monotonic()
        if left <= 0:
            return ServerAnswer(Rcode.TEMPFAIL, why="was not queried: the total time is over")
        begun = time.monotonic()
        answer = ask_server(question, min(self._timeout, left))
        if answer.rcode is Rcode.TEMPFAIL and time.monotonic() - begun >= self._timeout:
            self._silent[question.server] = answer
        return answer


def _alone(question: ServerQuestion, server: NameServer) -> ServerQuestion:
    return ServerQuestion(question.name, question.rdtype, server)
