"""SMTP server that accepts and records every message: the destination of test mail."""

from __future__ import annotations

import asyncio
import email
import email.policy
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.testbed.closing import Closing
from tests.testbed.ports import LOOPBACK
from tests.testbed.waiting import wait_until

MAX_MESSAGE = 256 * 1024 * 1024
"""Maximum octets of a message, more than any test or benchmark sends."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivered message: the envelope, and the octets after DATA with CRLF line ends."""

    sender: str
    recipients: tuple[str, ...]
    octets: bytes
    body_type: str
    """The BODY parameter of MAIL FROM (RFC 6152): ``8BITMIME`` or ``7BIT``."""
    smtputf8: bool

    @property
    def message(self) -> EmailMessage:
        """The parsed message."""
        return email.message_from_bytes(self.octets, policy=email.policy.default)

    @property
    def body(self) -> bytes:
        """The octets after the empty line."""
        return self.octets.partition(b"\r\n\r\n")[2]

    @property
    def without_received(self) -> bytes:
        """The octets without the trace fields of this site, as if another site relayed them."""
        head, _, body = self.octets.partition(b"\r\n\r\n")
        kept: list[bytes] = []
        for line in head.split(b"\r\n"):
            if line[:1] in (b" ", b"\t") and kept:
                kept[-1] += b"\r\n" + line
            else:
                kept.append(line)
        fields = [one for one in kept if not one.lower().startswith(b"received:")]
        return b"\r\n".join(fields) + b"\r\n\r\n" + body

    def fields(self, name: str) -> list[str]:
        """Return the values of the header fields with this name from the top, unfolded."""
        return [str(value) for value in self.message.get_all(name, [])]

    def field_names(self) -> list[str]:
        """Return the names of all header fields from the top."""
        return list(self.message.keys())


class _Handler:
    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self.deliveries: list[Delivery] = []
        self.refuse_with = ""
        self.unknown: set[str] = set()

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's name)
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        if address in self.unknown:
            return "550 5.1.1 no such user here"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802 (aiosmtpd's name)
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
    ) -> str:
        if self.refuse_with:
            return self.refuse_with
        delivery = Delivery(
            sender=envelope.mail_from or "",
            recipients=tuple(envelope.rcpt_tos),
            octets=envelope.original_content or b"",
            body_type=_parameter(envelope.mail_options, "BODY") or "7BIT",
            smtputf8=envelope.smtp_utf8,
        )
        if self._folder is not None:
            name = f"{len(self.deliveries) + 1:03d}.eml"
            (self._folder / name).write_bytes(delivery.octets)
        self.deliveries.append(delivery)
        return "250 2.0.0 arrived"


class Sink(Closing):
    """A server in a thread of this process, from construction to `close()`.

    With a `folder`, each message is also written there, as 001.eml and so on. With `lmtp` it speaks
    LMTP (RFC 2033).
    """

    def __init__(
        self,
        *,
        host: str = LOOPBACK,
        port: int = 0,
        folder: Path | None = None,
        lmtp: bool = False,
    ) -> None:
        self._handler = _Handler(folder)
        self._protocol = LMTP if lmtp else SMTP
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sink", daemon=True)
        self._thread.start()
        starting = self._loop.create_server(self._session, host, port)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result()
        self.host = host
        self.port = int(self._server.sockets[0].getsockname()[1])

    def _session(self) -> SMTP:
        return self._protocol(
            self._handler,
            hostname="sink.gatepost.test",
            ident="sink",
            enable_SMTPUTF8=True,
            data_size_limit=MAX_MESSAGE,
            loop=self._loop,
        )

    @property
    def postfix(self) -> str:
        """Its address in the form for Postfix's relayhost and transport_maps."""
        return f"smtp:[{self.host}]:{self.port}"

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """All deliveries in order."""
        return tuple(self._handler.deliveries)

    def clear(self) -> None:
        """Discard all deliveries."""
        self._handler.deliveries.clear()

    def refuse_with(self, reply: str) -> None:
        """Answer messages with this SMTP reply; an empty reply accepts them again."""
        self._handler.refuse_with = reply

    def refuse_recipients(self, *addresses: str) -> None:
        """Refuse these recipients with 550."""
        self._handler.unknown = set(addresses)

    def matching(self, predicate: Callable[[Delivery], bool]) -> list[Delivery]:
        """Return the deliveries that match."""
        return [one for one in self.deliveries if predicate(one)]

    def wait_for(
        self, predicate: Callable[[Delivery], bool], what: str = "a message", *, count: int = 1
    ) -> list[Delivery]:
        """Wait until `count` deliveries match and return all that do."""

        def probe() -> list[Delivery] | None:
            found = self.matching(predicate)
            return found if len(found) >= count else None

        return wait_until(probe, f"{count} of {what} to arrive at the sink")

    def wait_for_subject(self, subject: str) -> Delivery:
        """Wait for the message with this subject."""
        return self.wait_for(
            lambda one: one.message["Subject"] == subject, f"the message {subject!r}"
        )[0]

    def close(self) -> None:
        """Stop listening and hang up."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _hang_up(self) -> None:
        self._server.close()
        sessions = asyncio.all_tasks() - {asyncio.current_task()}
        for session in sessions:
            session.cancel()
        await asyncio.gather(*sessions, return_exceptions=True)


def _parameter(options: Iterable[Any], name: str) -> str:
    for option in options:
        key, _, value = str(option).partition("=")
        if key.upper() == name:
            return value.upper()
    return ""
