"""Client of doveadm's HTTP API, for kicks, the sizes of mailboxes and the removal of mail."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import socket
import ssl
from asyncio.trsock import TransportSocket
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import h11

from accounts.directory.homes import is_home
from accounts.stored_mail import StoredMail
from gatepost.doveadm import PATH, is_pattern

TIMEOUT: Final = 10.0
"""Seconds for a request, from the connection to the end of the answer."""
ABSENT: Final = 60
"""Seconds after which a host that acknowledges nothing is taken for gone."""
MAX_ANSWER: Final = 1 << 20
"""Octets of an answer: doveadm names each session that it ends."""
NOBODY: Final = (67, 68)
"""Exit codes of Dovecot 2.3 for "no such session" (doveadm(1))."""
NONE: Final = [{"count": "0"}]
"""The same result in Dovecot 2.4."""
NOT_FOUND: Final = 68
"""Exit code of `doveadm fs stat` for a path that does not exist."""
FS: Final = "mailboxes"
"""Name of the block `fs` in dovecot.conf whose root is that of the mail store."""


class DoveadmError(Exception):
    """The command failed; the message is one line."""


async def kick(url: str, key: str, masks: Sequence[str], timeout: float = TIMEOUT) -> int:
    """End the sessions of users who match a mask; return how many masks had sessions.

    Raises `DoveadmError`, also if it is not known whether all of them have ended.
    """
    numbered = {str(number): mask for number, mask in enumerate(masks)}
    commands = [["kick", {"mask": [mask]}, number] for number, mask in numbered.items()]
    return _read(await ask(url, key, commands, timeout), numbered)


async def usage(url: str, key: str, user: str, timeout: float = TIMEOUT) -> StoredMail | None:
    """Return what the mailbox of a user holds; None for an unknown user, or without a quota.

    Also None for a user such as ``a?b@example.org``, for whom doveadm would answer about others.
    Raises `DoveadmError`.
    """
    if is_pattern(user):
        return None
    body = await ask(url, key, [["quotaGet", {"user": user}, "0"]], timeout)
    try:
        ((kind, payload, _),) = json.loads(body)
        if kind == "doveadmResponse":
            # in KiB; several quota roots count the same mail
            storage = _largest(payload, "STORAGE")
            octets = None if storage is None else storage * 1024
            found = StoredMail(octets, _largest(payload, "MESSAGE"))
            return None if found == StoredMail(None, None) else found
        code = payload["exitCode"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise DoveadmError("cannot parse its answer") from None
    if code not in NOBODY:
        raise DoveadmError(f"it does not report the size of {user}: {str(payload)[:200]}")
    return None


def _largest(payload: Any, kind: str) -> int | None:
    return max((int(one["value"]) for one in payload if one["type"] == kind), default=None)


async def remove_home(url: str, key: str, home: str, timeout: float) -> None:
    """Remove a home with all its files; it need not exist.

    `home` is a path below the root of the mail store. Raises `DoveadmError`, also if some file is
    still there.
    """
    if not is_home(home):
        # doveadm would follow ".." out of the mail store
        raise DoveadmError(f"{home[:200]!r} is not the folder of a mailbox")
    commands: list[list[Any]] = [
        ["fsDelete", {"filterName": FS, "path": [home], "recursive": True}, "0"],
        ["fsStat", {"filterName": FS, "path": home}, "1"],
    ]
    body = await ask(url, key, commands, timeout)
    try:
        # the first one fails also where there was nothing to remove
        _, (kind, payload, _) = json.loads(body)
        is_gone = kind == "error" and payload["exitCode"] == NOT_FOUND
    except (ValueError, TypeError, KeyError, RecursionError):
        raise DoveadmError("cannot parse its answer") from None
    if not is_gone:
        raise DoveadmError(f"it does not remove {home}: its log has the reason")


async def ask(url: str, key: str, commands: list[list[Any]], timeout: float) -> bytes:
    """Send commands and return the body of the answer; raises `DoveadmError`."""
    try:
        async with asyncio.timeout(timeout):
            status, body = await _post(url, key, json.dumps(commands).encode())
    except (TimeoutError, ConnectionError) as error:
        if isinstance(error, TimeoutError) and error.errno is None:
            raise DoveadmError(f"no answer within {timeout:g} s") from None
        # the text of asyncio has the number of the error and a tuple
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise DoveadmError(reason or type(error).__name__) from None
    except (OSError, UnicodeError, h11.ProtocolError) as error:
        raise DoveadmError(str(error) or type(error).__name__) from None
    if status in (401, 403):
        raise DoveadmError(f"it refuses the key ({status})")
    if status != 200:
        raise DoveadmError(f"it answers {status}")
    return body


def _read(body: bytes, numbered: dict[str, str]) -> int:
    """Return how many of the commands ended sessions; raises `DoveadmError`."""
    try:
        answers = json.loads(body)
        by_number = {str(number): (kind, payload) for kind, payload, number in answers}
    except (ValueError, TypeError, RecursionError):
        raise DoveadmError("cannot parse its answer") from None
    ended = 0
    for number, mask in numbered.items():
        kind, payload = by_number.get(number, ("", None))
        if kind == "doveadmResponse":
            ended += payload != NONE
            continue
        code = payload.get("exitCode") if isinstance(payload, dict) else None
        if kind != "error" or code not in NOBODY:
            raise DoveadmError(f"it does not kick {mask}: {str(payload)[:200]}")
    return ended


async def _post(url: str, key: str, body: bytes) -> tuple[int, bytes]:
    """Send a request on a connection of its own; returns the status and the body."""
    parts = urlsplit(url)
    target = parts.path if parts.path not in ("", "/") else PATH
    is_tls = parts.scheme == "https"
    reader, writer = await asyncio.open_connection(
        parts.hostname,
        parts.port or (443 if is_tls else 80),
        ssl=ssl.create_default_context() if is_tls else None,
    )
    try:
        _notice_absence(writer.get_extra_info("socket"))
        connection = h11.Connection(h11.CLIENT)
        # no "Connection: close": with it, doveadm does not answer at all if the key is wrong
        headers = [
            ("Host", parts.netloc),
            ("Authorization", "X-Dovecot-API " + base64.b64encode(key.encode()).decode()),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
        ]
        request = h11.Request(method="POST", target=target, headers=headers)
        writer.write(connection.send(request) or b"")
        writer.write(connection.send(h11.Data(data=body)) or b"")
        writer.write(connection.send(h11.EndOfMessage()) or b"")
        await writer.drain()
        return await _answer(connection, reader)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            writer.transport.abort()


def _notice_absence(connection: TransportSocket) -> None:
    """Let a connection break when the host of the server is gone.

    Some answers take hours, and a host that has lost its power or its network says nothing.
    """
    tcp = socket.IPPROTO_TCP
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(tcp, socket.TCP_KEEPIDLE, ABSENT // 2)
    connection.setsockopt(tcp, socket.TCP_KEEPINTVL, ABSENT // 6)
    connection.setsockopt(tcp, socket.TCP_KEEPCNT, 3)
    connection.setsockopt(tcp, socket.TCP_USER_TIMEOUT, ABSENT * 1000)


async def _answer(connection: h11.Connection, reader: asyncio.StreamReader) -> tuple[int, bytes]:
    status, body = 0, bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            received = await reader.read(65536)
            if not received and not status:
                raise DoveadmError("it closed the connection without an answer")
            connection.receive_data(received)
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_ANSWER:
                raise DoveadmError(f"its answer has more than {MAX_ANSWER} octets")
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            return status, bytes(body)
