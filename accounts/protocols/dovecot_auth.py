"""Dovecot's authentication protocol, the server side, as Postfix and Exim speak it.

The protocol has lines of fields separated by tabs. The server lists its mechanisms and ends with
``DONE``. The client sends ``AUTH`` with a number that the answer repeats. With ``CONT`` the server
asks for more and the client sends it; ``OK`` and ``FAIL`` end the login. Parameters may come in any
order; unknown ones, and unknown commands, are ignored.

Postfix (``smtpd_sasl_type = dovecot``) turns every ``FAIL`` into 535, whatever its parameters are.
If the password cannot be checked, the connection is closed instead, and Postfix answers 454 4.7.0.
It waits 10 seconds for an answer.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from accounts.protocols import sasl
from accounts.protocols.lines import LineReader
from accounts.protocols.sasl import MECHANISMS, SaslError
from accounts.protocols.table import has_control, reason_text
from accounts.protocols.tabs import escape, unescape
from gatepost.conversation import Answered, StreamError
from msgauth.address import IpAddress

MAX_LINE: Final = 16 * 1024
"""Octets of a line: Postfix's smtpd_sasl_response_limit is 12,288, and parameters are added to
it."""
MAX_PENDING: Final = 16
"""Logins of one connection that wait for their ``CONT``. An smtpd process has one at a time, but
does not report that its client has given up, so the oldest are dropped."""
MAX_NUMBER: Final = 2**32 - 1
MAJOR: Final = 1
MINOR: Final = 1

_CHALLENGES: Final = {"PLAIN": b"", "LOGIN": b"VXNlcm5hbWU6"}  # "Username:"
_PASSWORD: Final = b"UGFzc3dvcmQ6"  # "Password:"


@dataclass(frozen=True, slots=True)
class AuthRequest:
    """A request to check a login and its password."""

    number: int
    mechanism: str
    login: str
    password: str = field(repr=False)
    service: str
    """``smtp`` for Postfix."""
    client: IpAddress | None
    """The address of the client that logs in; None if it is not known."""
    server: IpAddress | None
    """The address that the client is connected to."""
    secured: bool
    """Whether the connection of the client is encrypted."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The password is right; `user` becomes Postfix's SASL user name."""

    user: str


class Code(StrEnum):
    """Code of a refusal. Dovecot's own clients use it, Postfix ignores it."""

    NONE = ""
    NOT_AUTHORIZED = "authz"
    DISABLED = "user_disabled"
    EXPIRED = "pass_expired"


@dataclass(frozen=True, slots=True)
class Denied:
    """The login is refused. Postfix passes `reason` on to its client, and logs it."""

    reason: str = ""
    code: Code = Code.NONE


@dataclass(frozen=True, slots=True)
class AuthUnavailable:
    """The password cannot be checked now."""


Verdict: TypeAlias = Accepted | Denied | AuthUnavailable


@dataclass(frozen=True, slots=True)
class _Pending:
    """A login that waits for the rest of its response."""

    mechanism: str
    parameters: dict[bytes, bytes]
    login: str = ""


class AuthConnection(LineReader[AuthRequest | Answered]):
    """One connection of an SMTP server.

    The greeting contains `process`, `number` and `cookie`: the process id, a number that is unique
    in the process, and 32 random hexadecimal digits. Postfix needs `close_when_unavailable`;
    without it, a temporary failure is ``FAIL`` with ``temp``, which Exim and Dovecot's own clients
    understand.
    """

    __slots__ = ("_close", "_greeted", "_lines", "_pending", "greeting")

    def __init__(
        self, process: int, number: int, cookie: str, *, close_when_unavailable: bool = True
    ) -> None:
        self.greeting = _greeting(process, number, cookie)
        super().__init__(MAX_LINE)
        self._greeted = False
        self._pending: dict[int, _Pending] = {}
        self._close = close_when_unavailable

    def _read(self, line: bytes) -> AuthRequest | Answered | None:
        command, *words = line.split(b"\t")
        if command == b"VERSION":
            if words[:1] != [b"%d" % MAJOR]:
                raise StreamError("another version of the protocol")
            self._greeted = True
        elif not self._greeted:
            raise StreamError("the first line is not VERSION")
        elif command == b"AUTH":
            return self._auth(words)
        elif command == b"CONT":
            return self._continue(words)
        elif command == b"CANCEL":
            self._pending.pop(_number(words), None)
        return None

    def _auth(self, words: list[bytes]) -> AuthRequest | Answered:
        number = _number(words)
        if len(words) < 2:
            raise StreamError("AUTH without a mechanism")
        if number in self._pending:
            raise StreamError("the number of AUTH is in use")
        mechanism = words[1].decode("ascii", "replace").upper()  # as the client wrote it
        parameters: dict[bytes, bytes] = {}
        for word in words[2:]:
            name, _, value = word.partition(b"=")
            parameters[name] = unescape(value)
        if mechanism not in MECHANISMS:
            return _malformed(number, "Unsupported authentication mechanism")
        pending = _Pending(mechanism, parameters)
        response = parameters.pop(b"resp", None)
        if response is None:
            return self._ask(number, pending, _CHALLENGES[mechanism])
        return self._take(number, pending, response)

    def _continue(self, words: list[bytes]) -> AuthRequest | Answered:
        number = _number(words)
        pending = self._pending.pop(number, None)
        if pending is None:
            return _malformed(number, "the login was given up")
        return self._take(number, pending, words[1] if len(words) > 1 else b"")

    def _ask(self, number: int, pending: _Pending, challenge: bytes) -> Answered:
        if len(self._pending) >= MAX_PENDING:
            del self._pending[next(iter(self._pending))]
        self._pending[number] = pending
        return Answered(b"CONT\t%d\t%b\n" % (number, challenge))

    def _take(self, number: int, pending: _Pending, response: bytes) -> AuthRequest | Answered:
        """Process one response of the client."""
        try:
            message = sasl.decode(response)
            if pending.mechanism == "PLAIN":
                login, password = sasl.plain(message)
            elif not pending.login:
                following = _Pending("LOGIN", pending.parameters, sasl.login_name(message))
                return self._ask(number, following, _PASSWORD)
            else:
                login, password = pending.login, sasl.secret(message)
        except SaslError as error:
            return _malformed(number, str(error))
        given = pending.parameters
        return AuthRequest(
            number,
            pending.mechanism,
            login,
            password,
            reason_text(given.get(b"service", b"").decode("utf-8", "replace")),
            _address(given.get(b"rip")),
            _address(given.get(b"lip")),
            b"secured" in given,
        )

    def encode(self, event: AuthRequest, reply: Verdict) -> bytes | None:
        """Return the line of a verdict; None to close the connection without one."""
        if isinstance(reply, Accepted) and reply.user and not has_control(reply.user):
            return b"OK\t%d\tuser=%b\n" % (event.number, escape(reply.user))
        if not isinstance(reply, Denied):
            return self.failure(event, expired=False)
        line = b"FAIL\t%d\tuser=%b" % (event.number, escape(event.login))
        if reply.reason:
            line += b"\treason=" + escape(reason_text(reply.reason))
        if reply.code:
            line += b"\tcode=" + reply.code.encode()
        return line + b"\n"

    def failure(self, event: AuthRequest, *, expired: bool) -> bytes | None:  # noqa: ARG002
        """Return the line for a request that could not be answered."""
        if self._close:
            return None
        fields = (event.number, escape(event.login))
        return b"FAIL\t%d\tuser=%b\ttemp\tcode=temp_fail\n" % fields


def _greeting(process: int, number: int, cookie: str) -> bytes:
    offered = "".join(f"MECH\t{name}\tplaintext\n" for name in MECHANISMS)
    return (
        f"VERSION\t{MAJOR}\t{MINOR}\n{offered}SPID\t{process}\nCUID\t{number}\n"
        f"COOKIE\t{cookie}\nDONE\n"
    ).encode()


def _number(words: list[bytes]) -> int:
    digits = words[0] if words else b""
    if not (0 < len(digits) <= 10 and digits.isdigit()) or int(digits) > MAX_NUMBER:
        raise StreamError("a command without a number")
    return int(digits)


def _malformed(number: int, reason: str) -> Answered:
    """Refuse a malformed response."""
    return Answered(b"FAIL\t%d\treason=%b\n" % (number, escape(reason)), reason)


def _address(given: bytes | None) -> IpAddress | None:
    try:
        address = ipaddress.ip_address((given or b"").decode("ascii"))
    except ValueError:
        return None
    # an IPv4 client of a dual-stack socket is the same client
    return getattr(address, "ipv4_mapped", None) or address
