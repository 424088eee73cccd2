"""Wrong passwords that processes tell one another, and messages that are none of theirs."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from pathlib import Path

import pytest

from accounts.attempt_settings import AttemptSettings
from accounts.attempts import AttemptKind, Attempts
from accounts.attempts_share import (
    CHANNEL,
    MAX_PAYLOAD,
    MAX_SENDERS,
    MAX_WAITING,
    AttemptsShare,
    read_shared_secret,
)
from accounts.store.errors import DatastoreUnavailable
from accounts.store.settings import DatabaseSettings
from gatepost.config.types import SecretFile

HOME = ipaddress.ip_address("192.0.2.10")
ANNA = "anna@example.org"


class Exchange:
    """Notifications between the shares of a test."""

    def __init__(self) -> None:
        self.heard: list[Callable[[str], None]] = []
        self.sent: list[str] = []
        self.away = False

    async def listen(self, channel: str, heard: Callable[[str], None]) -> None:
        assert channel == CHANNEL
        self.heard.append(heard)

    async def notify(self, channel: str, payload: str) -> None:
        assert channel == CHANNEL
        if self.away:
            raise DatastoreUnavailable("away")
        assert payload.isascii()
        assert len(payload) <= MAX_PAYLOAD
        self.sent.append(payload)
        for heard in self.heard:
            heard(payload)


class Side:
    """One process."""

    def __init__(
        self, exchange: Exchange, secret: bytes = b"the secret", **settings: object
    ) -> None:
        self.exchange = exchange
        self.share = AttemptsShare(exchange, lambda: self.attempts, lambda: 1000.0)
        self.share.secret = secret
        self.attempts = Attempts(
            AttemptSettings.model_validate({"hold": 0, **settings}), self.share.key, self.share.add
        )
        exchange.heard.append(self.share.hear)

    def guess(
        self,
        *passwords: str,
        account: str = ANNA,
        client: str = "198.51.100.7",
        right: bool = False,
    ) -> list[AttemptKind]:
        kinds = []
        for password in passwords:
            address = ipaddress.ip_address(client)
            decision = self.attempts.decide(account, address, password.encode(), 1000.0)
            if decision.kind is AttemptKind.CHECK:
                self.attempts.end(decision, right, 1000.0)
            kinds.append(decision.kind)
        return kinds


def tell(side: Side) -> None:
    """Tell the others all that waits, as `run` does."""
    exchange = side.exchange
    while side.share._waiting:
        exchange.sent.append(side.share.message())
        for heard in exchange.heard:
            heard(exchange.sent[-1])


CHECK, LATER = AttemptKind.CHECK, AttemptKind.LATER


def test_two_processes_count_as_one() -> None:
    one, other = Side(exchange := Exchange()), Side(exchange)
    assert one.guess("a", "b", "c") == [CHECK] * 3
    tell(one)
    assert other.guess("d", "e", "f") == [CHECK, CHECK, LATER]
    tell(other)
    assert one.guess("g") == [LATER]
    # another account is free, and its network has a count of its own
    assert one.guess("a", account="bob@example.org") == [CHECK]


def test_the_same_wrong_password_counts_once_in_all() -> None:
    one, other = Side(exchange := Exchange(), repeat=0), Side(exchange, repeat=0)
    for _ in range(10):
        assert one.guess("same") == other.guess("same") == [CHECK]
        tell(one)
        tell(other)
    assert other.guess("b", "c", "d", "e", "f") == [CHECK] * 4 + [LATER]
    assert len(exchange.sent) == 2  # both had counted it before they heard of it


def test_a_network_is_slowed_down_at_every_process() -> None:
    one, other = Side(exchange := Exchange()), Side(exchange)
    for number in range(20):
        side = (one, other)[number % 2]
        assert side.guess("spray", account=f"u{number}@example.org") == [CHECK]
    tell(one)
    tell(other)
    for side in (one, other):
        assert side.guess("spray", account="next@example.org") == [LATER]
        assert side.guess("x", account="next@example.org", client="203.0.113.1") == [CHECK]


def test_guesses_at_another_process_do_not_delay_a_known_network() -> None:
    one, other = Side(exchange := Exchange()), Side(exchange)
    assert one.guess("right", client="192.0.2.10", right=True) == [CHECK]
    assert other.guess(*"abcdef") == [CHECK] * 5 + [LATER]
    tell(other)
    assert one.guess("right", client="192.0.2.10", right=True) == [CHECK]
    # nor do errors from there delay others, where the network was not known yet
    exchange.heard.clear()
    third = Side(exchange)
    one.guess(*"uvwxyz", client="192.0.2.10")
    tell(one)
    assert third.guess("x", client="203.0.113.1") == [CHECK]
    assert third.guess("q", client="192.0.2.10") == [LATER]


@pytest.mark.parametrize("secret", [b"another secret", b""])
def test_messages_of_others_count_nothing(secret: bytes) -> None:
    one, stranger = Side(Exchange()), Side(exchange := Exchange(), secret)
    stranger.guess(*"abcde")
    tell(stranger)
    (payload,) = exchange.sent
    before = one.attempts.size
    one.share.hear(payload)
    for text in ("", " ", "17", "x" * 9000, payload[:-1], "\ud800 \ud800", '["a",1,[]]'):
        one.share.hear(text)
    assert one.attempts.size == before == 0


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '["a",1]', '["a","1",[]]', '["a",1,[1]]', '["a",1,[["x","y",1,1]]]',
     '["a",1,[["x","y",1,1,"zz"]]]', '["a",1,[["x","y",1,1,"00"]]]', '["a",1,[[1,"y",1,1,"00"]]]',
     '[[],1,[]]', "[" * 5000],
)  # fmt: skip
def test_what_cannot_be_read_counts_nothing(text: str) -> None:
    one = Side(Exchange())
    one.share.hear(f"{one.share._code(text)} {text}")
    assert one.attempts.size == 0


def test_a_message_counts_once() -> None:
    one, other = Side(exchange := Exchange()), Side(Exchange())
    one.guess("a")
    tell(one)
    other.share.hear(exchange.sent[0])
    other.attempts.forget_accounts()
    size = other.attempts.size
    other.share.hear(exchange.sent[0])
    assert other.attempts.size == size
    for number in range(2 * MAX_SENDERS):
        text = f'["{number}",1,[]]'
        other.share.hear(f"{other.share._code(text)} {text}")
    assert len(other.share._last) == MAX_SENDERS


def test_many_are_told_in_few_messages_of_bounded_size() -> None:
    one, other = Side(exchange := Exchange()), Side(exchange)
    for number in range(MAX_WAITING + 50):
        account = f"{'ü' * 100}{number}@example.org"
        one.guess("a", account=account, client=f"10.{number // 200}.{number % 200}.1")
    while one.share._waiting:
        payload = one.share.message()
        assert len(payload) <= MAX_PAYLOAD
        other.share.hear(payload)
    assert other.attempts.size == 2 * MAX_WAITING
    assert exchange.sent == []


def test_it_listens_and_tells_until_the_database_is_away() -> None:
    async def run() -> None:
        exchange = Exchange()
        one, other = Side(exchange), Side(exchange)
        exchange.heard.clear()
        tasks = [asyncio.create_task(side.share.run()) for side in (one, other)]
        async with asyncio.timeout(10):
            while len(exchange.heard) < 2:
                await asyncio.sleep(0.01)
            one.guess("a")
            while not other.attempts.size:
                await asyncio.sleep(0.01)
            exchange.away = True
            one.guess("b")
            while one.share._waiting:
                await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert len(exchange.sent) == 1

    asyncio.run(run())


def test_the_shared_secret(tmp_path: Path) -> None:
    key, password = tmp_path / "key", tmp_path / "password"
    for file in (key, password):
        file.write_text(f"{file.name}\n")
        file.chmod(0o600)

    def read(**files: Path) -> bytes:
        named = {name: SecretFile(path) for name, path in files.items()}
        return read_shared_secret(DatabaseSettings(url="postgresql://h/x", **named))  # type: ignore[arg-type]

    both = read(key_file=key, password_file=password)
    assert both == read(key_file=key)
    assert len({both, read(password_file=password), read()}) == 3
    assert read() == read(key_file=tmp_path / "missing") == b""
    key.write_text("key\nolder\n")
    assert read(key_file=key) == both
    key.write_text("\n")
    assert read(key_file=key) == b""
    # without one, fingerprints are of no use to others
    assert Side(Exchange(), b"").share.key != Side(Exchange(), b"").share.key
    assert Side(Exchange()).share.key == Side(Exchange()).share.key
