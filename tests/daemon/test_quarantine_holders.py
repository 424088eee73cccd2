"""Accounts asks several holders of mail: those that answer, and those that do not."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from accounts.quarantine.holders import QuarantineHolders
from accounts.quarantine.settings import QuarantineSettings
from gatepost.config import SecretFile
from gatepost.logs import get_logger
from gatepost.quarantine.client import HolderAwayError
from gatepost.quarantine.held import HeldKind, HeldMail, HeldReach
from gatepost.quarantine.holder import (
    HeldContent,
    HeldPage,
    HeldRelease,
    HolderError,
    NotHeldError,
)
from gatepost.quarantine.server import HolderRules, HolderServer
from tests.testbed.ports import LOOPBACK

TOKEN = "0123456789abcdef0123"
MAIL = HeldMail("a1", HeldKind.VIRUS, 1000.0, "s@example.com", ("ann@example.org",), 5)
ALL = HeldReach()


@dataclass
class OneMail:
    """A holder of one mail."""

    mail: HeldMail = MAIL
    released: list[str] = field(default_factory=list)

    async def latest(self, reach: HeldReach, limit: int) -> HeldPage:
        return HeldPage((self.mail,)[:limit], has_more=False)

    async def read(self, mail_id: str, reach: HeldReach, most: int) -> HeldContent:
        if mail_id != self.mail.id:
            raise NotHeldError("it is not here")
        return HeldContent(self.mail, b"hello"[:most], most >= 5)

    async def release(self, mail_id: str, reach: HeldReach, by: str) -> HeldRelease:
        self.released.append(by)
        return HeldRelease(self.mail.recipients, {})

    async def delete(self, mail_id: str, reach: HeldReach, by: str) -> HeldMail:
        raise NotHeldError("it is gone")


@contextlib.asynccontextmanager
async def served(holder: OneMail, name: str) -> AsyncIterator[str]:
    listening = socket.create_server((LOOPBACK, 0))
    listening.setblocking(False)
    rules = HolderRules(holder, name, TOKEN.encode())
    server = HolderServer(lambda: rules, get_logger("test"))
    server.start([listening])
    try:
        yield f"inet:{listening.getsockname()[1]}@{LOOPBACK}"
    finally:
        await server.drain(1)
        listening.close()


@contextlib.asynccontextmanager
async def saying(octets: bytes | None) -> AsyncIterator[str]:
    """A server that is no holder: it says some octets again and again, or nothing."""

    gone = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if octets is None:
                await gone.wait()
                return
            writer.write(octets)
            await writer.drain()
        except OSError:
            pass  # the client has seen enough
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, LOOPBACK, 0)
    try:
        yield f"inet:{server.sockets[0].getsockname()[1]}@{LOOPBACK}"
    finally:
        gone.set()
        server.close()
        await asyncio.sleep(0.05)  # the connections that are left close


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., QuarantineHolders]:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)

    def make(*holders: str) -> QuarantineHolders:
        settings = QuarantineSettings.model_validate(
            {"holders": holders, "token_file": SecretFile(token), "timeout": 2}
        )
        return QuarantineHolders(lambda: settings)

    return make


def test_all_are_asked_and_each_counts_once(ask: Callable[..., QuarantineHolders]) -> None:
    async def run() -> None:
        later = OneMail(replace(MAIL, id="b2", held_at=2000.0))
        first = OneMail()
        async with served(first, "virus-pod-1") as one, served(later, "virus-pod-2") as two:
            # the same holder by its name
            holders = ask(one, two, one.replace(LOOPBACK, "localhost"))
            found = await holders.latest(ALL, 10)
            assert [(mail.holder, mail.mail.id) for mail in found.mails] == [
                ("virus-pod-2", "b2"),
                ("virus-pod-1", "a1"),
            ]
            assert (await holders.latest(ALL, 1)).has_more
            content = await holders.find("virus-pod-1", "a1", ALL, 3)
            assert (content.content.octets, content.content.is_whole) == (b"hel", False)
            # an id counts at its holder only
            for holder, mail_id in (("virus-pod-2", "a1"), ("other", "a1"), ("../x", "a1")):
                with pytest.raises(NotHeldError):
                    await ask(one, two).find(holder, mail_id, ALL, 3)
            done = await holders.release("virus-pod-1", "a1", ALL, "root", content.address)
            assert done.released == ("ann@example.org",)
            assert (first.released, later.released) == (["root"], [])
            with pytest.raises(NotHeldError, match="somebody"):
                await holders.delete("virus-pod-1", "a1", ALL, "root", content.address)

    asyncio.run(run())


OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize(
    "octets",
    [
        None,
        b"",
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 100_000,
        OK % 10 + b"short",
        OK % 2 + b"{}",
        OK % 4 + b"null",
        OK % 100_000 + b"[" * 100_000,
        OK % (1 << 40) + b"x" * (50 << 20),
        b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
        b'HTTP/1.1 503 Away\r\nContent-Length: 17\r\n\r\n{"error": [1, 2]}',
    ],
    ids=range(11),
)
def test_one_that_is_no_holder_is_named_and_the_others_are_shown(
    ask: Callable[..., QuarantineHolders], octets: bytes | None
) -> None:
    async def run() -> None:
        async with served(OneMail(), "virus-pod-1") as good, saying(octets) as bad:
            holders = ask(bad, good)
            begun = time.monotonic()
            found = await holders.latest(ALL, 10)
            assert time.monotonic() - begun < 20
            assert [mail.mail.id for mail in found.mails] == ["a1"]
            (missing,) = found.missing
            assert missing.address == bad
            assert missing.problem
            assert (await holders.find("virus-pod-1", "a1", ALL, 5)).content.is_whole
            # the one that is away might have it
            with pytest.raises(HolderAwayError, match="does not answer"):
                await holders.find("virus-pod-9", "a1", ALL, 5)

    asyncio.run(run())


def test_no_more_is_read_than_was_wanted(ask: Callable[..., QuarantineHolders]) -> None:
    octets = OK % (30 << 20) + b"x" * (30 << 20)

    async def run() -> None:
        async with saying(octets) as bad:
            (missing,) = (await ask(bad).latest(ALL, 10)).missing
            assert "more than" in missing.problem
            with pytest.raises(HolderAwayError, match="more than"):
                await ask(bad).find("virus-pod-1", "a1", ALL, 5)

    asyncio.run(run())


def test_a_socket_that_is_not_there_and_a_wrong_token(
    ask: Callable[..., QuarantineHolders], tmp_path: Path
) -> None:
    async def run() -> None:
        async with served(OneMail(), "virus-pod-1") as good:
            nothing = f"unix:{tmp_path}/none"
            found = await ask(nothing, good).latest(ALL, 10)
            assert [one.address for one in found.missing] == [nothing]
            assert len(found.mails) == 1
            (tmp_path / "token").write_text("another token of some length")
            found = await ask(good).latest(ALL, 10)
            assert [one.problem for one in found.missing] == ["it refuses our token"]

    asyncio.run(run())


@pytest.mark.parametrize("token", ["0123456789abcdef\nfedcba9876543210", "Größe0123456789abcdef"])
def test_a_token_that_cannot_be_sent_is_not_shown(
    ask: Callable[..., QuarantineHolders], tmp_path: Path, token: str
) -> None:
    async def run() -> None:
        async with served(OneMail(), "virus-pod-1") as good:
            (tmp_path / "token").write_text(token)
            for asking in (ask(good).latest(ALL, 10), ask(good).find("virus-pod-1", "a1", ALL, 5)):
                with pytest.raises(HolderError, match="token") as error:
                    await asking
                assert "0123" not in str(error.value)

    asyncio.run(run())
