"""Messages as the packets of the milter protocol that load/milter.c sends."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

from tools.bench.mail import Mail

_QUEUE_ID = "4QfZ3b2V6wz9sT"


def _packet(command: str, data: bytes) -> bytes:
    return struct.pack(">IB", len(data) + 1, ord(command)) + data


def _strings(*texts: str) -> bytes:
    return b"".join(text.encode() + b"\0" for text in texts)


def _macros(stage: str, **values: str) -> bytes:
    pairs = [part for name, value in values.items() for part in (_macro_name(name), value)]
    return _packet("D", stage.encode() + _strings(*pairs))


def _macro_name(name: str) -> str:
    return name if len(name) == 1 else f"{{{name}}}"


def _steps(mail: Mail) -> Iterable[tuple[str, bytes, bytes]]:
    """Stage, macros and command, with the macros that Postfix sends by default."""
    address = b"4" + struct.pack(">H", 40000) + _strings(mail.client)
    name = "localhost" if mail.client.startswith("127.") else f"client.{mail.sender.split('@')[1]}"
    yield (
        "C",
        _macros("C", j="mail.gateway.example", daemon_name="smtpd", daemon_addr="127.0.0.1"),
        _packet("C", _strings(name) + address),
    )
    yield "H", b"", _packet("H", _strings(name))
    mail_macros = {"mail_addr": mail.sender, "mail_host": "rcpt.example", "mail_mailer": "smtp"}
    yield "M", _macros("M", **mail_macros), _packet("M", _strings(f"<{mail.sender}>"))
    rcpt_macros = {"rcpt_addr": mail.recipient, "rcpt_host": "rcpt.example", "rcpt_mailer": "smtp"}
    yield (
        "R",
        _macros("R", i=_QUEUE_ID, **rcpt_macros),
        _packet("R", _strings(f"<{mail.recipient}>")),
    )
    yield "T", _macros("T", i=_QUEUE_ID), _packet("T", b"")
    for field, value in mail.fields:
        # Postfix hands folds over with LF
        yield "L", b"", _packet("L", _strings(field, value.replace("\r\n", "\n")))
    yield "N", _macros("N", i=_QUEUE_ID), _packet("N", b"")
    yield "B", b"", b""
    yield "E", _macros("E", i=_QUEUE_ID), _packet("E", b"")


def write(path: Path, mails: Iterable[Mail]) -> None:
    """Write the corpus, with each shared body stored once."""
    bodies: dict[bytes, int] = {}
    messages = []
    for mail in mails:
        index = bodies.setdefault(mail.body, len(bodies))
        steps = b"".join(
            struct.pack("<BII", ord(stage), len(macros), len(command)) + macros + command
            for stage, macros, command in _steps(mail)
        )
        messages.append(struct.pack("<II", index, len(steps)) + steps)
    with path.open("wb") as file:
        file.write(struct.pack("<I", len(bodies)))
        for body in bodies:
            file.write(struct.pack("<I", len(body)) + body)
        file.write(struct.pack("<I", len(messages)))
        file.writelines(messages)
