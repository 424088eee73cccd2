"""``gatepost delivery`` with a scanner and a mail store of the test, and an LMTP client."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.testbed.daemon import Daemon
from tests.testbed.ports import LOOPBACK, free_port
from tests.testbed.toml import value_text
from tests.testbed.waiting import DEADLINE

GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-" + "STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
RECEIVED = (
    b"Received: from out.example.com (out.example.com [192.0.2.1])\r\n"
    b"\tby mx.example.org (Postfix) with ESMTPS id 4XyzAb12\r\n"
    b"\tfor <ann@example.org>; Wed, 26 Nov 2026 10:00:00 +0000\r\n"
)
HEAD = RECEIVED + (
    b"From: Sender <sender@example.com>\r\nTo: ann@example.org\r\nSubject: hello\r\n"
    b"Date: Wed, 26 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n"
)
HAM = HEAD + b"\r\nHow are you?\r\n"
SPAM = HEAD + b"\r\n" + GTUBE.encode() + b"\r\n"


class Server:
    """A server of the test: a thread for each connection, which `serve` handles."""

    def __init__(self, port: int = 0) -> None:
        self._listener = socket.create_server((LOOPBACK, port), backlog=256)
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0
        self.open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"inet:{self.port}@{LOOPBACK}"

    def serve(self, connection: socket.socket) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """End it and all its connections, as a killed process does."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in list(self.open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self.open.add(connection)
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection: socket.socket) -> None:
        connection.settimeout(DEADLINE)
        try:
            with connection, contextlib.suppress(OSError):
                self.serve(connection)
        finally:
            self.open.discard(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SpamdRequest(NamedTuple):
    user: str
    message: bytes


def by_content(request: SpamdRequest) -> bytes:
    """Answer as spamd does: GTUBE is spam."""
    score, rules = (900.0, b"GTUBE") if GTUBE.encode() in request.message else (0.5, b"A,B")
    return b"SPAMD/1.1 0 EX_OK\r\nContent-length: %d\r\nSpam: %b ; %.1f / 5.0\r\n\r\n%b\r\n" % (
        len(rules) + 2,
        b"True" if score > 5 else b"False",
        score,
        rules,
    )


class StubSpamd(Server):
    """spamd as far as SYMBOLS goes; `answer` makes the octets of an answer, None for silence."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[SpamdRequest] = []
        self.answer: Callable[[SpamdRequest], bytes | None] = by_content
        self.hang_in_message = threading.Event()
        super().__init__(port)

    def serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as file:
            assert file.readline() == b"SYMBOLS SPAMC/1.5\r\n"
            fields = {}
            while (line := file.readline().decode().strip()) != "":
                name, _, value = line.partition(": ")
                fields[name] = value
            size = int(fields["Content-length"])
            if self.hang_in_message.is_set():
                file.read(size // 2)
                time.sleep(DEADLINE)
            request = SpamdRequest(fields.get("User", ""), file.read(size))
            self.requests.append(request)
            if (answer := self.answer(request)) is None:
                file.read(1)
                return
            connection.sendall(answer)


class StoredMessage(NamedTuple):
    sender: str
    recipients: tuple[str, ...]
    data: bytes

    def fields(self, name: str) -> list[str]:
        """The values of a header field, unfolded."""
        head = re.sub(rb"\r\n[ \t]+", b" ", self.data.partition(b"\r\n\r\n")[0]).decode()
        lines = [line.partition(":") for line in head.split("\r\n")]
        return [value.strip() for key, _, value in lines if key.lower() == name.lower()]

    @property
    def status(self) -> str:
        return self.fields("X-Spam-Status")[0].partition(",")[0]


class StubStore(Server):
    """Dovecot's LMTP. `replies` are those after the content, `rcpt` those to RCPT, by address."""

    def __init__(self, port: int = 0) -> None:
        self.messages: list[StoredMessage] = []
        self.mails: list[str] = []
        self.extensions = [b"PIPELINING", b"8BITMIME", b"ENHANCEDSTATUSCODES"]
        self.replies: dict[str, bytes] = {}
        self.rcpt: dict[str, bytes] = {}
        self.close_after: int | None = None
        """Close after so many answers to recipients."""
        self.refuse_content: bytes = b""
        """Say this and close, in the middle of the content."""
        self.is_silent = threading.Event()
        self.drops_next = threading.Event()
        """Close once when the next command comes, without a word."""
        self.gate = threading.Event()
        """Recipients are answered once it is set."""
        self.gate.set()
        self.keeps = True
        self.sizes: list[int] = []
        self.incomplete = 0
        super().__init__(port)

    def serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as file:
            connection.sendall(b"220 store ready\r\n")
            sender = ""
            accepted: list[str] = []
            while line := file.readline():
                text = line.decode().strip()
                verb = text[:4].upper()
                if self.drops_next.is_set():
                    self.drops_next.clear()
                    return
                if self.is_silent.is_set():
                    file.read(1)
                    return
                if verb == "LHLO":
                    words = [b"store", *self.extensions]
                    lines = [b"250-%b\r\n" % word for word in words[:-1]]
                    connection.sendall(b"".join(lines) + b"250 %b\r\n" % words[-1])
                elif verb == "MAIL":
                    self.mails.append(text)
                    sender, accepted = text.partition("<")[2].partition(">")[0], []
                    connection.sendall(b"250 2.1.0 OK\r\n")
                elif verb == "RCPT":
                    address = text.partition("<")[2].partition(">")[0]
                    reply = self.rcpt.get(address, b"250 2.1.5 OK")
                    if reply.startswith(b"2"):
                        accepted.append(address)
                    connection.sendall(reply + b"\r\n")
                elif verb == "DATA":
                    connection.sendall(b"354 OK\r\n")
                    if not self._data(connection, file, sender, accepted):
                        return
                elif verb == "QUIT":
                    connection.sendall(b"221 2.0.0 Bye\r\n")
                    return

    def _data(self, connection: socket.socket, file: Any, sender: str, accepted: list[str]) -> bool:
        data, size = bytearray(), 0
        while (line := file.readline()) != b".\r\n":
            if not line:
                self.incomplete += 1
                return False
            size += len(line)
            if self.keeps:
                data += line.removeprefix(b".")
            if self.refuse_content and size > 100_000:
                connection.sendall(self.refuse_content)
                return False
        self.sizes.append(size)
        self.gate.wait(DEADLINE)
        for number, address in enumerate(accepted):
            if number == self.close_after:
                return False
            reply = self.replies.get(address, b"250 2.0.0 <%b> Saved" % address.encode())
            if reply.startswith(b"2"):
                self.messages.append(StoredMessage(sender, (address,), bytes(data)))
            connection.sendall(reply + b"\r\n")
        return True

    def of(self, address: str) -> list[StoredMessage]:
        """The messages of a mailbox."""
        return [one for one in self.messages if one.recipients == (address,)]


class Client:
    """An LMTP client that can be rude."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection((LOOPBACK, port), timeout=DEADLINE)
        self.file = self.sock.makefile("rb")
        assert self.reply().startswith("220 ")

    def reply(self) -> str:
        """The last line of the next reply; empty at the end of the connection."""
        while True:
            try:
                line = self.file.readline().decode()
            except ConnectionResetError:
                return ""
            if line[3:4] != "-":
                return line.strip()

    def command(self, text: str) -> str:
        self.sock.sendall(f"{text}\r\n".encode())
        return self.reply()

    def begin(self, *recipients: str, sender: str = "sender@example.com", more: str = "") -> None:
        """Everything up to the content."""
        assert self.command("LHLO mail.example.org").startswith("250 ")
        assert self.command(f"MAIL FROM:<{sender}>{more}").startswith("250 ")
        for one in recipients:
            assert self.command(f"RCPT TO:<{one}>").startswith("250 ")
        assert self.command("DATA").startswith("354 ")

    def content(self, message: bytes) -> None:
        self.sock.sendall(re.sub(rb"(?m)^\.", b"..", message) + b".\r\n")

    def send(self, message: bytes, *recipients: str, **more: str) -> list[str]:
        """The answers to the recipients."""
        self.begin(*recipients, **more)
        self.content(message)
        return [self.reply() for _ in recipients]

    def close(self) -> None:
        self.file.close()
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class DeliveryDaemon(Daemon):
    """``gatepost delivery`` below a directory; settings are those of `[delivery]`."""

    def __init__(self, directory: Path, settings: Mapping[str, Any], **more: Any) -> None:
        self.port = free_port()
        self.directory = directory
        self._metrics = f"inet:{free_port()}@{LOOPBACK}"
        config = directory / "gatepost.toml"
        super().__init__("delivery", config, directory, **more)
        self.write(settings)

    def write(self, settings: Mapping[str, Any]) -> None:
        """Write the configuration."""
        section = {
            "listen": f"inet:{self.port}@{LOOPBACK}",
            "metrics_listen": self._metrics,
            "spool_folder": str(self.directory),
            **settings,
        }
        lines = ['hostname = "mx.example.org"', "[delivery]"]
        lines += [f"{key} = {value_text(value)}" for key, value in section.items()]
        self.config.write_text("\n".join(lines) + "\n")

    def connect(self) -> Client:
        return Client(self.port)

    def send(self, message: bytes, *recipients: str, **more: str) -> list[str]:
        with self.connect() as client:
            return client.send(message, *recipients, **more)


class DeliverySite:
    """A daemon with its scanner and its store."""

    def __init__(self, directory: Path, settings: Mapping[str, Any] | None = None) -> None:
        self.directory = directory
        self.spamd = StubSpamd()
        self.store = StubStore()
        self.settings: dict[str, Any] = {
            # the tests send equal messages, with one queue id
            "spam": {"address": self.spamd.address, "timeout": 5, "share_for": 0},
            "stores": {"default": self.store.address, "timeout": 5},
        }
        self.merge(settings or {})
        self.daemon = DeliveryDaemon(directory, self.settings)

    def merge(self, settings: Mapping[str, Any]) -> None:
        for key, value in settings.items():
            old = self.settings.get(key)
            merge = isinstance(value, dict) and isinstance(old, dict)
            self.settings[key] = {**old, **value} if merge else value  # type: ignore[dict-item]

    def send(self, message: bytes, *recipients: str, **more: str) -> list[str]:
        return self.daemon.send(message, *recipients, **more)

    def restart_spamd(self) -> None:
        """A new spamd at the address of the old one."""
        self.spamd = StubSpamd(self.spamd.port)

    @property
    def spooled(self) -> list[str]:
        """Files of messages that have a name: there are never any."""
        known = {"gatepost.toml", "delivery.log"}
        return [one.name for one in self.directory.iterdir() if one.name not in known]

    def __enter__(self) -> Self:
        self.daemon.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.daemon.stop()
        self.spamd.close()
        self.store.close()


@contextlib.contextmanager
def delivery_site(
    directory: Path, settings: Mapping[str, Any] | None = None
) -> Iterator[DeliverySite]:
    """A site that runs."""
    directory.mkdir(parents=True, exist_ok=True)
    with DeliverySite(directory, settings) as site:
        yield site
