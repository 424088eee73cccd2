"""One connection of the MTA: the events of SMTP sessions in, an outcome for each message out.

No socket, no clock, no DNS: the end of a message is a lookup that yields its DNS questions and gets
the time as an argument. A connection has several messages, and each may be aborted at any point;
the data of a message is in a `Message`, created for each.
"""

from __future__ import annotations

from collections.abc import Callable

from milters.content import MessageContent
from milters.envelope import Envelope
from milters.guard import Client, parse_client
from milters.memory import Memory
from milters.message import Message
from milters.outcome import MessageOutcome
from milters.protocol.errors import MilterProtocolError
from milters.rules import Rules
from milters.virus_settings import VirusScanSettings
from msgauth.ask import Lookup
from msgauth.mail_address import MailAddress
from msgauth.trace import Trace

MAX_SHOWN = 256
"""Maximum characters of a name or address from SMTP: RFC 5321 section 4.5.3.1.3 allows 256 octets
for a path."""
_MAX_HOSTNAME = 255
_MAX_ADDRESS = 64
"""Maximum characters of a name or an address; clients are cached, so longer ones are dropped."""


class Session:
    """The events of one connection.

    `rules` returns the rules in force when a message begins, which then apply until its end.
    `submission` is for a listener whose mail is all ours, `memory` is shared by all sessions,
    `trace` records the questions and findings of a session with a single message. An event out of
    order is a `MilterProtocolError`: the message would be checked without it.
    """

    def __init__(
        self,
        rules: Callable[[], Rules],
        *,
        submission: bool = False,
        memory: Memory | None = None,
        trace: Trace | None = None,
    ) -> None:
        self._rules = rules
        self._memory = memory or Memory()
        self._trace = trace
        self._submission = submission
        self._client = Client(None, "")
        self._helo = ""
        self._message: Message | None = None

    @property
    def client_text(self) -> str:
        """The client's address, for a log line."""
        return str(self._client.address or "")

    def connect(self, hostname: str, address: str | None) -> None:
        """Note the client: its verified name or a substitute, and its address.

        `address` is None for mail submitted on this machine.
        """
        if len(hostname) > _MAX_HOSTNAME:
            hostname = ""
        if address is not None and len(address) > _MAX_ADDRESS:
            address = ""  # unknown; None would mean this machine
        self._client = parse_client(hostname, address)
        self._helo = ""
        self._message = None

    def helo(self, name: str) -> None:
        """Note the HELO name of the client; it may be repeated."""
        self._helo = name[:MAX_SHOWN]

    def mail_from(self, sender: bytes, login: str, daemon_name: str, *, utf8: bool = False) -> None:
        """Begin a message.

        `sender` is the reverse-path from SMTP, `login` the SASL name or empty, `daemon_name` the
        name of the smtpd service, `utf8` the parameter SMTPUTF8 (RFC 6531).
        """
        rules = self._rules()
        origin = rules.guard.origin(self._client, login, daemon_name, submission=self._submission)
        envelope = Envelope(self._client, self._helo, origin, _path(sender), login, utf8)
        self._message = Message(rules, envelope, self._memory, self._trace)

    def rcpt(self, recipient: bytes) -> None:
        """Add an accepted recipient."""
        self._current().add_recipient(_path(recipient))

    def header(self, name: bytes, value: bytes) -> None:
        """Add a header field: `value` is everything after the colon; folds end with LF or CRLF."""
        message = self._current()
        if message.has_ended_header:
            raise MilterProtocolError("a header field came after the end of the header")
        message.add_field(name, value)

    def end_of_headers(self) -> None:
        """End the header."""
        self._current().end_header()

    def body(self, chunk: bytes) -> None:
        """Take the next part of the body, cut anywhere."""
        self._current().add_body(chunk)

    def end_of_message(self, now: int) -> Lookup[MessageOutcome]:
        """Decide the message; `now` is in seconds since 1970 in UTC."""
        message, self._message = self._current(), None
        return (yield from message.finish(now))

    def abort(self) -> None:
        """Drop the current message, if there is one, because the MTA has aborted it."""
        self._message = None

    @property
    def dns_budget(self) -> float:
        """Return the time limit in seconds for all DNS queries of the message."""
        return self._current().rules.settings.verify.dns_budget

    def end_content(self) -> MessageContent | None:
        """Return the complete content of the message if it is to be scanned for viruses."""
        message = self._current()
        message.end_header()  # if the MTA has not signalled it
        return message.content

    @property
    def virus_settings(self) -> VirusScanSettings:
        """Return the settings of that scan."""
        return self._current().rules.settings.virus

    def _current(self) -> Message:
        if self._message is None:
            raise MilterProtocolError("an event of a message came before MAIL FROM")
        return self._message


def _path(path: bytes) -> MailAddress:
    """Return the address in an SMTP path, without the angle brackets.

    If it is too long, its end is kept: the domain is then complete, or there is none.
    """
    text = path.decode("utf-8", "replace").removeprefix("<").removesuffix(">")
    return MailAddress.parse(text[-MAX_SHOWN:])
