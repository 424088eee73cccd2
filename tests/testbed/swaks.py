"""Mail sent by swaks, a real SMTP client, with the server's replies."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.testbed.ports import LOOPBACK
from tests.testbed.smtp import Reply

TIMEOUT = 50
"""Maximum seconds for swaks: longer than any delay of the servers under test, shorter than the
timeout of a test."""

_LINE = re.compile(r"(?P<mark> ->|<[-~*]{1,2}|<\*\*| ~>|\*\*>) *(?P<text>.*)")
_REPLY = re.compile(r"(?P<code>[2-5]\d\d)(?P<more>[ -]?)(?P<text>.*)")


class SwaksError(Exception):
    """swaks is missing, or there was no SMTP session; the message has its output."""


@dataclass(frozen=True, slots=True)
class Client:
    """The client as Postfix shall see it.

    With an `address`, swaks uses XCLIENT, and Postfix believes address, name and HELO. With an
    `interface`, an address of this machine, swaks connects from there. With `login` and `password`,
    it logs in.
    """

    address: str = ""
    name: str = ""
    helo: str = "client.example.net"
    login: str = ""
    password: str = ""
    interface: str = ""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A finished SMTP session: each command (empty for the connection) with its reply."""

    argv: tuple[str, ...]
    steps: tuple[tuple[str, Reply], ...]
    transcript: str

    @property
    def command_line(self) -> str:
        """The shell command that repeats it."""
        return shlex.join(self.argv)

    @property
    def reply(self) -> Reply:
        """The decisive reply: the first refusal, else the reply to the end of the data."""
        for _, reply in self.steps:
            if reply.code >= 400:
                return reply
        return self.reply_to(".")

    def reply_to(self, command: str) -> Reply:
        """Return the reply to the first command with this prefix; raises `SwaksError` if none."""
        for sent, reply in self.steps:
            if sent.upper().startswith(command.upper()) and (command or not sent):
                return reply
        raise SwaksError(f"swaks never sent {command!r}:\n{self.transcript}")

    @property
    def accepted(self) -> bool:
        """Return whether the server accepted the message."""
        return self.reply.code == 250

    @property
    def queue_id(self) -> str:
        """Postfix's queue id of the message; empty if it was not accepted."""
        found = re.search(r"queued as (\w+)", self.reply.text)
        return found[1] if found else ""


def send(
    port: int,
    *,
    sender: str,
    recipients: Sequence[str],
    message: bytes | None = None,
    subject: str = "A test",
    body: str = "Hello.",
    client: Client | None = None,
    options: Sequence[str] = (),
    save_as: Path | None = None,
    host: str = LOOPBACK,
) -> Exchange:
    """Send one message through the server at `port` of `host`.

    `message` is sent unchanged (CRLF line ends, dots doubled here); without it, swaks composes one
    from `subject` and `body`. With `save_as`, swaks reads the message from that file, so that the
    command line can be repeated by hand; otherwise it reads standard input. Raises `SwaksError` if
    there was no SMTP session; a refusal is not an error.
    """
    program = shutil.which("swaks")
    if program is None:
        raise SwaksError("swaks is not installed (package swaks)")
    client = client or Client()
    argv = ["swaks", "--server", host, "--port", str(port), "--timeout", str(TIMEOUT)]
    argv += [*_client_options(client), "--from", sender, "--to", ",".join(recipients)]
    data = b""
    if message is not None:
        # RFC 5321 section 4.5.2: a dot at the start of a line is doubled
        data = message.replace(b"\r\n.", b"\r\n..")
        data = data.removesuffix(b"\r\n") + b"\r\n."
        argv += ["--no-data-fixup", "--data", f"@{save_as}" if save_as else "-"]
        if save_as:
            save_as.write_bytes(data)
    else:
        argv += ["--header", f"Subject: {subject}", "--body", body]
    argv += options
    done = subprocess.run(
        argv, executable=program, input=data, capture_output=True, check=False, timeout=TIMEOUT + 5
    )
    transcript = (done.stdout + done.stderr).decode("latin-1")
    steps = parse(transcript)
    if not steps:
        raise SwaksError(f"{shlex.join(argv)} ended with {done.returncode}:\n{transcript}")
    return Exchange(tuple(argv), steps, transcript)


def _client_options(client: Client) -> list[str]:
    options = ["--helo", client.helo]
    if client.address:
        options += ["--xclient-addr", client.address]
        options += ["--xclient-name", client.name or "[UNAVAILABLE]"]
    if client.interface:
        options += ["--local-interface", client.interface]
    if client.login:
        options += ["--auth", "PLAIN", "--auth-user", client.login]
        options += ["--auth-password", client.password]
    return options


def parse(transcript: str) -> tuple[tuple[str, Reply], ...]:
    """Return the commands and replies in the output of swaks, without the message itself."""
    steps: list[tuple[str, Reply]] = []
    command, code, texts = "", 0, list[str]()
    for line in transcript.splitlines():
        found = _LINE.match(line)
        if not found:
            continue
        mark, text = found["mark"], found["text"]
        if not mark.startswith("<"):
            command = text
        elif reply := _REPLY.match(text):
            code = int(reply["code"])
            texts.append(reply["text"])
            if reply["more"] != "-":
                steps.append((command, Reply(code, "\n".join(texts))))
                texts = []
    return tuple(steps)
