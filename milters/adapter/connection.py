"""Between libmilter and a session: callbacks become events, actions become calls of the MTA.

Before the end of a message no callback answers, so that the MTA need not wait; what goes wrong in
one of them is remembered, and the message is deferred at its end. libmilter would otherwise wait
for ever for a message that it believes ended.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final, TypeVar, cast

import Milter

from gatepost.reply import Reply
from milters.actions import DeleteHeader, InsertHeader, Quarantine, Refuse
from milters.session import Session
from milters.worker import Worker

C = TypeVar("C", bound=Callable[..., int])

CONTINUE: Final[int] = Milter.CONTINUE
_ACTIONS: Final[int] = Milter.ADDHDRS | Milter.CHGHDRS | Milter.QUARANTINE | Milter.SETSYMLIST
_MACROS: Final = {
    Milter.M_CONNECT: "",
    Milter.M_HELO: "",
    # j always has a value, so the MTA always sends macros here: libmilter would otherwise still
    # know the login of the message before
    Milter.M_ENVFROM: "j {auth_authen} {daemon_name}",
    Milter.M_ENVRCPT: "",
    Milter.M_DATA: "",
    Milter.M_EOH: "",
    Milter.M_EOM: "i",
}
"""All that is asked for at each stage (smfi_setsymlist); the MTA then sends nothing else."""


def noreply(callback: C) -> C:
    """Let the MTA go on without an answer to this callback, where it can."""
    return cast(C, Milter.noreply(callback))


class Connection(Milter.Base):  # type: ignore[misc]  # pymilter has no types
    """One connection of the MTA. `worker` and `submission` are set in a subclass."""

    worker: ClassVar[Worker]
    submission: ClassVar[bool] = False

    def __init__(self) -> None:
        self._session = Session(lambda: self.worker.rules, submission=self.submission)
        self._failure: Reply | None = None
        self._counts = False
        self._lead = b" "
        self.worker.under_way.connection_opened()

    def negotiate(self, opts: list[int]) -> int:
        """Take of what the MTA offers what is used: actions, steps, macros."""
        actions, steps = opts[0], opts[1]
        # protocol_mask() is what the callbacks below do not want, of noreply and of steps left out
        wanted = ~self.protocol_mask() | Milter.P_HDR_LEADSPC
        self._actions, self._protocol = actions & _ACTIONS, steps & wanted
        opts[:] = self._actions, self._protocol, 0, 0
        if self._protocol & Milter.P_HDR_LEADSPC:
            self._lead = b""
        if actions & Milter.SETSYMLIST:
            for stage, macros in _MACROS.items():
                self._ctx.setsymlist(stage, macros)
        return CONTINUE

    def _do(self, event: Callable[..., None], *arguments: Any, **more: Any) -> int:
        if self._failure is None:
            try:
                event(*arguments, **more)
            except Exception:
                self._failure = self.worker.failed(self._session)
        return CONTINUE

    def _macro(self, name: str) -> str:
        try:
            return self._ctx.getsymval(name) or ""
        except UnicodeDecodeError:
            return "?"  # set, and not to be read: enough for "has logged in"

    @noreply
    def connect(self, hostname: str, _family: int, address: Any) -> int:
        """A client connected to the MTA."""
        ip = address[0] if isinstance(address, tuple) else None
        return self._do(self._session.connect, hostname, ip)

    @noreply
    def hello(self, name: str) -> int:
        """HELO or EHLO."""
        return self._do(self._session.helo, name)

    @noreply
    def envfrom(self, sender: bytes, *parameters: bytes) -> int:
        """MAIL FROM begins a message."""
        self._end_of_message()
        self._counts = self.worker.under_way.message_begun()
        login, daemon_name = self._macro("{auth_authen}"), self._macro("{daemon_name}")
        utf8 = any(word.upper() == b"SMTPUTF8" for word in parameters)
        return self._do(self._session.mail_from, sender, login, daemon_name, utf8=utf8)

    @noreply
    def envrcpt(self, recipient: bytes, *_parameters: bytes) -> int:
        """RCPT TO."""
        return self._do(self._session.rcpt, recipient)

    @noreply
    def header(self, name: str, value: bytes) -> int:
        """One header field."""
        return self._do(self._session.header, name, self._lead + value)

    @noreply
    def eoh(self) -> int:
        """The header is complete."""
        return self._do(self._session.end_of_headers)

    @noreply
    def body(self, chunk: bytes) -> int:
        """A part of the body."""
        return self._do(self._session.body, chunk)

    def eom(self) -> int:
        """The message is complete: decide, and tell the MTA."""
        try:
            if self._failure is None:
                try:
                    for action in self.worker.decide(self._session, self._macro("i")):
                        if isinstance(action, Refuse):
                            return self._refuse(action.reply)
                        self._apply(action)
                except Exception:
                    self._failure = self.worker.failed(self._session)
            return CONTINUE if self._failure is None else self._refuse(self._failure)
        finally:
            self._end_of_message()

    def _apply(self, action: DeleteHeader | InsertHeader | Quarantine) -> None:
        match action:
            case DeleteHeader(name, occurrence):
                self._ctx.chgheader(name, occurrence, "")
            case InsertHeader(name, value):
                self._ctx.addheader(name, value[1:] if self._lead else value, 0)
            case Quarantine(reason):
                self._ctx.quarantine(reason)

    def _refuse(self, reply: Reply) -> int:
        text = reply.public_text.replace("%", "%%")  # a format for libmilter
        self._ctx.setreply(str(reply.code), reply.enhanced, text)
        return int(Milter.TEMPFAIL if reply.code < 500 else Milter.REJECT)

    def abort(self) -> int:
        """The MTA gave the message up."""
        self._session.abort()
        self._end_of_message()
        return CONTINUE

    def close(self) -> int:
        """The connection has ended."""
        self._end_of_message()
        self.worker.under_way.connection_closed()
        return CONTINUE

    def _end_of_message(self) -> None:
        if self._counts:
            self._counts = False
            self.worker.under_way.message_ended()


class UnixConnection(Connection):
    """A connection over a unix socket: no answer before the end of a message."""


class TcpConnection(Connection):
    """A connection over TCP.

    Answers DATA: Postfix then waits for that answer instead of for our delayed acknowledgement of
    the macros that it sends at this stage, which takes 40 ms.
    """

    def data(self) -> int:
        """DATA."""
        return CONTINUE
