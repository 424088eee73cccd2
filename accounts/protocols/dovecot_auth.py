"""Dovecot's authentication protocol, the server side, as Postfix and Exim speak it.

Lines of fields with tabs between them. The server says what it offers and ends with ``DONE``. The
client asks ``AUTH``, with a number that the answer repeats; ``CONT`` asks for and gives more;
``OK`` and ``FAIL`` end it. Parameters may come in any order; unknown ones, and unknown commands,
are ignored.

Postfix (``smtpd_sasl_type = dovecot``) makes 535 of every ``FAIL``, whatever its parameters say.
Where nobody knows whether the password is right, the connection is closed instead, and Postfix
answers 454 4.7.0. It waits 10 seconds for an answer.
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
"""Octets of a line: Postfix's smtpd_sasl_response_limit is 12,288, and parameters come besides."""
MAX_PENDING: Final = 16
"""Log-ins of one connection that wait for their ``CONT``. An smtpd process has one at a time, but
says nothing when its client gives up, so the oldest are forgotten."""
MAX_NUMBER: Final = 2**32 - 1
MAJOR: Final = 1
MINOR: Final = 1

_CHALLENGES: Final = {"PLAIN": b"", "LOGIN": b"VXNlcm5hbWU6"}  # "Username:"
_PASSWORD: Final = b"UGFzc3dvcmQ6"  # "Password:"


@dataclass(frozen=True, slots=True)
class AuthRequest:
    """Somebody wants to log in; `answer()` has to find out whether the password is right."""

    number: int
    mechanism: str
    login: str
    password: str = field(repr=False)
    service: str
    """``smtp`` for Postfix."""
    client: IpAddress | None
    """Whoever wants to log in; None where that is not known."""
    server: IpAddress | None
    """The address that the client has connected to."""
    secured: bool
    """Whether the connection of the client is encrypted."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The password is right; `user` becomes Postfix's SASL user name."""

    user: str


class Code(StrEnum):
    """Why a login is refused; Dovecot's own clients tell them apart, Postfix does not."""

    NONE = ""
    NOT_AUTHORIZED = "authz"
    DISABLED = "user_disabled"
    EXPIRED = "pass_expired"


@dataclass(frozen=True, slots=True)
class Denied:
    """The login is refused. Postfix shows `reason` to its client, and logs it."""

    reason: str = ""
    code: Code = Code.NONE


@dataclass(frozen=True, slots=True)
class AuthUnavailable:
    """Nobody knows now whether the password is right."""


Verdict: TypeAlias = Accepted | Denied | AuthUnavailable


@dataclass(frozen=True, slots=True)
class _Pending:
    """A login that waits for the rest of its response."""

    mechanism: str
    parameters: dict[bytes, bytes]
    login: str = ""


class AuthConnection(LineReader[AuthRequest | Answered]):
    """One connection of an SMTP server.

    `process`, `number` and `cookie` go into the greeting: the process id, a number that no other
    connection of the process has, and 32 hexadecimal digits that nobody can guess.
    `close_when_unavailable` is what Postfix needs; without it, a temporary failure is ``FAIL`` with
    ``temp``, which Exim and Dovecot's own clients understand.
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
        mechanism = words[1].decode("ascii", "replace").upper()  # as Postfix's client wrote it
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
        """Take one response of the client."""
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
        """Return what is said when nobody could answer."""
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
    """Refuse a response that cannot be right, whatever the password."""
    return Answered(b"FAIL\t%d\treason=%b\n" % (number, escape(reason)), reason)


def _address(given: bytes | None) -> IpAddress | None:
    try:
        address = ipaddress.ip_address((given or b"").decode("ascii"))
    except ValueError:
        return None
    # an IPv4 client of a socket for both families is the same client
    return getattr(address, "ipv4_mapped", None) or address
