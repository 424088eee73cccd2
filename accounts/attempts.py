"""Limits on login attempts: delays that grow with each wrong password, per account and per network.

A few wrong passwords are free. After them, each delay is twice as long as the one before, up to a
bound, so nobody is ever locked out. An attempt with a short delay is held. One with a longer delay
gets a temporary error; it does not count and does not make the delay longer.

A network is known for an account if somebody logged in to the account from there before. It has a
count of its own, so guesses from elsewhere do not delay it. A login resets that count, but not
every login does: otherwise somebody in the same network could guess a few times after each. While
guesses for one account come from everywhere, a network that is not known may get no attempt.

Nothing here reads a clock: `now` is in seconds and should be monotonic. When a clock is set back,
earlier delays are void.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple, TypeAlias

from accounts.attempt_delays import DelayRule, Seen, forget, reserve, wait_for
from accounts.attempt_settings import AttemptSettings

ClientAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

PRINT: Final = 8
"""Octets of a fingerprint of a wrong password."""
PRINTS: Final = 16
"""Fingerprints that are kept for an account or a network."""
SAME: Final = 8
"""Attempts with one account and password at the same time; programs open a few connections."""
IN_FLIGHT: Final = 50
"""Attempts of one network at the same time, half of the queue before the hashing threads."""
KNOWN_EACH: Final = 16
"""Networks that are known for one account."""


class AttemptKind(Enum):
    """Answer to an attempt: check it, refuse it for now, or repeat the last answer."""

    CHECK = "check"
    """Check it, after `seconds`."""
    LATER = "later"
    """Refuse it for now; `seconds` is the time after which it may be repeated."""
    REPEATED = "repeated"
    """The same password was wrong a moment ago, so it is wrong now."""


@dataclass(slots=True)
class _Entry:
    """State of an account, of a network, or of an account in a network that is known for it.

    `marks` has the fingerprints of wrong passwords, and `times` the last time of each.
    """

    seen: Seen = field(default_factory=Seen)
    marks: bytes = b""
    times: tuple[float, ...] = ()
    under_way: dict[bytes, int] = field(default_factory=dict)
    known_since: float = 0.0
    reset_at: float = -math.inf

    def wrong_at(self, mark: bytes) -> float | None:
        """Return when a password was wrong last, or None if that is not known."""
        for at, time in enumerate(self.times):
            if self.marks[PRINT * at : PRINT * (at + 1)] == mark:
                return time
        return None

    def add_wrong(self, mark: bytes, now: float) -> bool:
        """Count a wrong password; return False if it was counted before."""
        size = len(self.times)
        for at in range(size):
            if self.marks[PRINT * at : PRINT * (at + 1)] == mark:
                self.times = (*self.times[:at], now, *self.times[at + 1 :])
                return False
        self.marks = (self.marks + mark)[-PRINT * PRINTS :]
        self.times = (*self.times, now)[-PRINTS:]
        self.seen = self.seen._replace(wrong=self.seen.wrong + 1, last=now)
        return True

    def reset(self) -> None:
        """Forget the wrong passwords."""
        self.seen, self.marks, self.times = Seen(), b"", ()


class _Table:
    """Entries by name: at most `size` that are delayed, and as many that are not.

    A full table drops its oldest entry. A flood of new names pushes out entries with few wrong
    passwords, and never those that are delayed already: for that, each new name needs enough wrong
    passwords to be delayed itself. `evicted` counts entries that were dropped early.
    """

    def __init__(self, size: int, rule: DelayRule, after: float) -> None:
        self.rule = rule
        self.evicted = 0
        self._size = size
        self._after = after
        self._few: OrderedDict[str, _Entry] = OrderedDict()
        self._many: OrderedDict[str, _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._few) + len(self._many)

    def get(self, name: str, now: float) -> _Entry:
        """Return the entry of a name. A new one is not stored before `keep`."""
        entry = self._many.get(name) or self._few.get(name) or _Entry()
        if forget(entry.seen, now, self._after) is not entry.seen:
            entry.reset()
        return entry

    def keep(self, name: str, entry: _Entry, now: float) -> None:
        """Store an entry as the newest."""
        self._few.pop(name, None)
        self._many.pop(name, None)
        table = self._many if entry.seen.wrong >= self.rule.free else self._few
        table[name] = entry
        if len(table) > self._size:
            _, oldest = table.popitem(last=False)
            if forget(oldest.seen, now, self._after) is oldest.seen:
                self.evicted += 1

    def level(self, name: str, now: float) -> _Level:
        """Return the entry of a name with all that is needed to store it."""
        return _Level(self.get(name, now), self.rule, self, name)

    def remove(self, name: str) -> None:
        """Forget a name."""
        self._few.pop(name, None)
        self._many.pop(name, None)

    def clear(self) -> None:
        """Forget all names."""
        self._few.clear()
        self._many.clear()


class WrongPassword(NamedTuple):
    """A wrong password that was counted: `mark` is its fingerprint.

    `is_limited`: it counts for the network, too. `is_known`: the network is known for the account.
    """

    account: str
    network: str
    is_limited: bool
    is_known: bool
    mark: bytes


class _Level(NamedTuple):
    """Counter that an attempt belongs to; `table` is None for a known network."""

    entry: _Entry
    rule: DelayRule
    table: _Table | None
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class AttemptDecision:
    """Decision about an attempt. `Attempts.end` must be called for one of kind CHECK."""

    kind: AttemptKind
    seconds: float = 0.0
    levels: tuple[_Level, ...] = field(repr=False, default=())
    account: str = ""
    network: str = ""
    mark: bytes = field(repr=False, default=b"")


class Attempts:
    """Memory of login attempts, of bounded size.

    `key` is secret: a password is kept as 8 octets of a keyed hash. `tell` is called with each
    wrong password that counts, for `take` in other processes that have the same key.
    """

    def __init__(
        self,
        settings: AttemptSettings,
        key: bytes,
        tell: Callable[[WrongPassword], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._key = key
        self._tell = tell
        first = settings.first_delay
        account = DelayRule(settings.free_account, first, settings.account_delay)
        network = DelayRule(settings.free_network, first, settings.network_delay)
        self._accounts = _Table(settings.entries, account, settings.forget)
        self._networks = _Table(settings.entries, network, settings.forget)
        self._known: OrderedDict[str, OrderedDict[str, _Entry]] = OrderedDict()
        self._known_size = 0

    @property
    def evicted(self) -> int:
        """The number of accounts and networks that were forgotten early, for lack of room."""
        return self._accounts.evicted + self._networks.evicted

    @property
    def size(self) -> int:
        """The number of accounts, networks and known networks that are remembered."""
        return len(self._accounts) + len(self._networks) + self._known_size

    def decide(
        self, account: str, client: ClientAddress | None, password: bytes, now: float
    ) -> AttemptDecision:
        """Decide about an attempt, before anything is known about the account.

        `client` is the address of the user, or None if it is not known. Accounts that do not exist
        are counted in the same way, so that the answer does not reveal which ones exist.
        """
        mark = self._mark(account, password)
        network, is_limited = self._network(client)
        levels = self._levels(account, network, is_limited, now)
        first = levels[0].entry
        wrong_at = first.wrong_at(mark)
        if wrong_at is not None and 0 <= now - wrong_at < self._settings.repeat:
            return AttemptDecision(AttemptKind.REPEATED)
        crowd = levels[1].entry.under_way if len(levels) > 1 else {}
        if first.under_way.get(mark, 0) >= SAME or sum(crowd.values()) >= IN_FLIGHT:
            return AttemptDecision(AttemptKind.LATER, self._settings.first_delay)
        wait = max(wait_for(level.entry.seen, now, level.rule) for level in levels)
        if wait > self._settings.hold:
            return AttemptDecision(AttemptKind.LATER, wait)
        for entry, rule, table, name in levels:
            entry.under_way[mark] = entry.under_way.get(mark, 0) + 1
            if entry.wrong_at(mark) is None:
                # attempts for several accounts from one network do not wait for each other: an
                # office arrives at the same time; IN_FLIGHT bounds their number
                distinct = len(entry.under_way) if entry is first else 1
                entry.seen = reserve(entry.seen, now + wait, rule, distinct)
            if table is not None:
                table.keep(name, entry, now)
        return AttemptDecision(AttemptKind.CHECK, wait, tuple(levels), account, network, mark)

    def end(self, decision: AttemptDecision, right: bool | None, now: float) -> None:
        """Record how an attempt of kind CHECK ended: True right, False wrong, None no result.

        There is no result if the password could not be checked, or if it was right but the account
        may not be used: neither counts.
        """
        mark, levels, is_counted = decision.mark, decision.levels, False
        for entry, _, table, name in levels:
            left = entry.under_way.pop(mark, 1) - 1
            if left > 0:
                entry.under_way[mark] = left
            if right is False:
                is_counted |= entry.add_wrong(mark, now)
                if table is not None:
                    table.keep(name, entry, now)
        if is_counted:
            is_known = levels[0].table is None
            self._tell(
                WrongPassword(decision.account, decision.network, len(levels) > 1, is_known, mark)
            )
        if right:
            self._learn(decision.account, decision.network, now)

    def take(self, wrong: WrongPassword, now: float) -> None:
        """Count a wrong password of another process."""
        account, network, is_limited, is_known, mark = wrong
        if is_known and self._find_known(account, network, now) is None:
            self._add_known(account, network).known_since = now
            self._drop_old_known()
        for entry, rule, table, name in self._levels(account, network, is_limited, now):
            if entry.add_wrong(mark, now):
                ready = max(entry.seen.ready, now + rule.wait(entry.seen.wrong))
                entry.seen = entry.seen._replace(ready=ready)
            if table is not None:
                table.keep(name, entry, now)

    def forget_account(self, account: str) -> None:
        """Forget the wrong passwords of an account, because its password was changed."""
        self._accounts.remove(account)
        if (networks := self._known.get(account)) is not None:
            for known in networks.values():
                known.reset()

    def forget_accounts(self) -> None:
        """Forget the wrong passwords of all accounts; those of networks stay."""
        self._accounts.clear()
        for networks in self._known.values():
            for known in networks.values():
                known.reset()

    def _mark(self, account: str, password: bytes) -> bytes:
        named = hashlib.blake2b(account.encode("utf-8", "surrogatepass"), key=self._key)
        return hashlib.blake2b(password, key=named.digest(), digest_size=PRINT).digest()

    def _network(self, client: ClientAddress | None) -> tuple[str, bool]:
        """Return the name of the network, and whether all of its attempts share a limit."""
        if client is None:
            return "unknown", False
        if isinstance(client, ipaddress.IPv6Address) and client.ipv4_mapped is not None:
            client = client.ipv4_mapped
        settings = self._settings
        bits = settings.ipv4_network if client.version == 4 else settings.ipv6_network
        name = str(ipaddress.ip_network((client, bits), strict=False))
        return name, not any(client in network for network in settings.unlimited)

    def _levels(self, account: str, network: str, is_limited: bool, now: float) -> list[_Level]:
        known = self._find_known(account, network, now)
        if known is not None:
            return [_Level(known, self._accounts.rule, None, account)]
        levels = [self._accounts.level(account, now)]
        return [*levels, self._networks.level(network, now)] if is_limited else levels

    def _find_known(self, account: str, network: str, now: float) -> _Entry | None:
        networks = self._known.get(account)
        known = networks.get(network) if networks is not None else None
        if known is None:
            return None
        if now - known.known_since >= self._settings.known:
            self._drop_known(account, network)
            return None
        if forget(known.seen, now, self._settings.forget) is not known.seen:
            known.reset()
        return known

    def _learn(self, account: str, network: str, now: float) -> None:
        known = self._add_known(account, network)
        known.known_since = now
        if now - known.reset_at >= self._settings.account_delay:
            known.reset()
            known.reset_at = now
        self._drop_old_known()

    def _add_known(self, account: str, network: str) -> _Entry:
        """Return a network that is known for an account, as the newest."""
        networks = self._known.setdefault(account, OrderedDict())
        if network not in networks:
            networks[network] = _Entry()
            self._known_size += 1
        networks.move_to_end(network)
        self._known.move_to_end(account)
        if len(networks) > KNOWN_EACH:
            networks.popitem(last=False)
            self._known_size -= 1
        return networks[network]

    def _drop_old_known(self) -> None:
        while self._known_size > self._settings.entries:
            oldest = next(iter(self._known))
            self._drop_known(oldest, next(iter(self._known[oldest])))

    def _drop_known(self, account: str, network: str) -> None:
        del self._known[account][network]
        self._known_size -= 1
        if not self._known[account]:
            del self._known[account]
