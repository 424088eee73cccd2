"""A milter on pymilter that drives a session as `milters.conversation` does.

``python -m tests.libmilter.filter SOCKET`` serves one connection at a time. A line of JSON on
standard input prepares the session of the next connection, an empty one asks what that session was
told; each is answered with one line on standard output. At the end of the input the folder of the
socket is removed.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import milter

from gatepost.reply import Reply
from milters.actions import DeleteHeader, InsertHeader, MessageAction, Quarantine, Refuse
from milters.conversation import UNIX
from milters.protocol.negotiation import MtaAction, Step, Wishes
from msgauth.drive import solve
from tests.libmilter.recording import WISHES, Recording, zone
from tests.unit.milters.mail import NOW
from tests.unit.milters.test_conversation import FAILED

_LOCAL: Final = {("localhost", "127.0.0.1"), ("localhost", "::1")}


class Filter:
    """The callbacks of libmilter, for one connection after the other."""

    def __init__(self) -> None:
        self.begin("default", UNIX)

    def begin(self, rules: str, wishes: Wishes) -> None:
        """Make ready for the next connection."""
        self.session = Recording(rules)
        self._wishes = wishes
        self._actions = self._steps = 0
        self._failure: Reply | None = None

    def register(self, name: str) -> None:
        """Give libmilter the callbacks."""
        milter.set_connect_callback(self.connect)
        milter.set_helo_callback(self.helo)
        milter.set_envfrom_callback(self.mail_from)
        milter.set_envrcpt_callback(self.rcpt)
        milter.set_header_callback(self.header)
        milter.set_eoh_callback(self.end_of_headers)
        milter.set_body_callback(self.body)
        milter.set_eom_callback(self.end_of_message)
        milter.set_abort_callback(self.abort)
        milter.set_close_callback(self.close)
        milter.register(name, negotiate=self.negotiate)

    def negotiate(self, ctx: Any, offered: list[int]) -> int:
        """Take of what the MTA offers what is wished for."""
        wishes = self._wishes
        if wishes.required & ~offered[0]:
            return int(milter.REJECT)
        self._actions, self._steps = offered[0] & wishes.actions, offered[1] & wishes.steps
        offered[:] = self._actions, self._steps, 0, 0
        if self._actions & MtaAction.SET_SYMBOL_LIST:
            for stage, names in wishes.macros.items():
                ctx.setsymlist(stage, names)
        return int(milter.CONTINUE)

    def connect(self, _ctx: Any, hostname: str, _family: int, client: Any) -> int:
        """A client of the MTA."""
        address, port = client[:2] if isinstance(client, tuple) else (None, 0)
        handed_in = port == 0 and (hostname, address) in _LOCAL
        self._failure = None
        self.session.connect(hostname, None if handed_in else address)
        return self._no_reply(Step.NO_REPLY_CONNECT)

    def helo(self, _ctx: Any, name: str) -> int:
        """HELO or EHLO."""
        self._failure = None
        self.session.helo(name)
        return self._no_reply(Step.NO_REPLY_HELO)

    def mail_from(self, ctx: Any, sender: bytes, *parameters: bytes) -> int:
        """A message begins."""
        self._failure = None
        utf8 = any(word.upper() == b"SMTPUTF8" for word in parameters)
        login, daemon_name = _login(ctx), _macro(ctx, "{daemon_name}")
        self._do(self.session.mail_from, sender, login, daemon_name, utf8=utf8)
        return self._no_reply(Step.NO_REPLY_MAIL)

    def rcpt(self, _ctx: Any, recipient: bytes, *_parameters: bytes) -> int:
        """A recipient."""
        self._do(self.session.rcpt, recipient)
        return self._no_reply(Step.NO_REPLY_RCPT)

    def header(self, _ctx: Any, name: str, value: bytes) -> int:
        """A header field."""
        space = b"" if self._steps & Step.LEADING_SPACE else b" "
        self._do(self.session.header, name.encode(), space + value)
        return self._no_reply(Step.NO_REPLY_HEADER)

    def end_of_headers(self, _ctx: Any) -> int:
        """The header is complete."""
        self._do(self.session.end_of_headers)
        return self._no_reply(Step.NO_REPLY_EOH)

    def body(self, _ctx: Any, chunk: bytes) -> int:
        """A part of the body."""
        self._do(self.session.body, chunk)
        # never NOREPLY: where the body comes with the end of the message, libmilter would then
        # not call back for the end, and the MTA would wait for ever
        return int(milter.CONTINUE)

    def end_of_message(self, ctx: Any) -> int:
        """Decide the message."""
        failure, self._failure = self._failure, None
        if failure is not None:
            self.session.abort()
            return _refuse(ctx, failure)
        try:
            lookup = self.session.end(_macro(ctx, "i"), NOW)
            actions = solve(lookup, zone().resolve).actions
        except Exception:
            return _refuse(ctx, FAILED)
        holds = any(isinstance(action, Quarantine) for action in actions)
        if holds and not self._actions & MtaAction.QUARANTINE:
            # before anything is sent: libmilter would notice it only behind what was inserted
            return _refuse(ctx, FAILED)
        for action in actions:
            if isinstance(action, Refuse):
                return _refuse(ctx, action.reply)
            self._apply(ctx, action)
        return int(milter.CONTINUE)

    def abort(self, _ctx: Any) -> int:
        """The message is given up."""
        self._failure = None
        self.session.abort()
        return int(milter.CONTINUE)

    def close(self, _ctx: Any) -> int:
        """The MTA is done with the connection, or with its client."""
        self._failure = None
        self.session.connect("", "")
        return int(milter.CONTINUE)

    def _apply(self, ctx: Any, action: MessageAction) -> None:
        space = not self._steps & Step.LEADING_SPACE
        match action:
            case InsertHeader(name, value):
                ctx.addheader(name, value[1:] if space else value, 0)
            case DeleteHeader(name, occurrence):
                ctx.chgheader(name, occurrence, "")
            case Quarantine(reason):
                ctx.quarantine(reason)

    def _do(self, event: Callable[..., None], *arguments: object, **more: object) -> None:
        if self._failure is None:
            try:
                event(*arguments, **more)
            except Exception:
                self._failure = FAILED

    def _no_reply(self, step: Step) -> int:
        return int(milter.NOREPLY if self._steps & step else milter.CONTINUE)


def _macro(ctx: Any, name: str) -> str:
    try:
        return ctx.getsymval(name) or ""
    except UnicodeDecodeError:
        return "?"


def _login(ctx: Any) -> str:
    try:
        return ctx.getsymval("{auth_authen}") or ""
    except UnicodeDecodeError as error:
        return error.object.decode("utf-8", "backslashreplace")


def _refuse(ctx: Any, reply: Reply) -> int:
    ctx.setreply(str(reply.code), reply.enhanced, reply.public_text.replace("%", "%%"))
    return int(milter.TEMPFAIL if reply.code < 500 else milter.REJECT)


def _control(served: Filter) -> None:
    for line in sys.stdin:
        if line.strip():
            asked = json.loads(line)
            served.begin(asked["rules"], WISHES[asked["wishes"]])
            told: object = "ready"
        else:
            told = served.session.events
        print(json.dumps(told), flush=True)  # noqa: T201 # the answer
    # who started us is done, or was killed and cannot tidy up
    shutil.rmtree(Path(sys.argv[1]).parent, ignore_errors=True)
    os._exit(0)  # libmilter ends in order only by its signals


def main() -> None:
    """Serve until standard input ends."""
    served = Filter()
    milter.setconn(f"unix:{sys.argv[1]}")
    served.register("oracle")
    milter.opensocket(False)
    threading.Thread(target=_control, args=(served,), daemon=True).start()
    milter.main()


if __name__ == "__main__":
    main()
