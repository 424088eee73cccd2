"""Questions about the rows of the datastore, asked by generators and answered by a driver.

A rule is a `RowLookup[T]`: a generator that yields a tuple of `Ask`, is sent a tuple with an answer
for each in the same order, and returns its `T`. All questions of a tuple are asked at once.

A missing row and a database that cannot be asked are never confused. The answer for a missing row
is None or an empty tuple. If the database cannot be asked, the driver throws `Unavailable` into the
generator, and no rule catches it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")

Table: TypeAlias = Literal["domain", "name", "wildcards", "rights", "login", "rules"]
"""The kinds of questions:

* ``domain``: a domain name; the answer is a `DomainRow` or None.
* ``name``: an address; a `MailboxRow`, an `AliasRow` or None. A name is only one of both.
* ``wildcards``: a domain name; the aliases of that domain that have a ``*``, in any order.
* ``rights``: an address, or ``@`` and a domain; the logins with a right of their own to send as it.
  Only those of mailboxes that are enabled and may send, in domains that are enabled.
* ``login``: the address of a mailbox; a `LoginRow` or None.
* ``rules``: the address of a mailbox; a `RulesRow` or None.

A key has the form of `accounts.address`.
"""

TABLES: tuple[Table, ...] = ("domain", "name", "wildcards", "rights", "login", "rules")


class Ask(NamedTuple):
    """A question about rows."""

    table: Table
    key: str


class DomainRow(NamedTuple):
    """A domain. `alias_of` is the name of another domain, `catch_all` is the address of a
    target."""

    name: str
    alias_of: str | None = None
    catch_all: str | None = None
    enabled: bool = True
    transport: str | None = None
    is_relay: bool = False


class MailboxRow(NamedTuple):
    """A mailbox for delivery; `forwards` are the targets of forwarding, in order.

    `quota` is in octets, None for no limit. `home` is the folder of its mail. `locked_until` is in
    seconds since the epoch, None if it is not locked.
    """

    address: str
    enabled: bool = True
    may_send: bool = True
    may_receive: bool = True
    keep_copy: bool = True
    store: str | None = None
    forwards: tuple[str, ...] = ()
    quota: int | None = None
    home: str = ""
    locked_until: int | None = None


class AliasRow(NamedTuple):
    """An alias; `expires` is in seconds since the epoch, `targets` are addresses, in order."""

    address: str
    enabled: bool = True
    expires: int | None = None
    members_may_send: bool = False
    targets: tuple[str, ...] = ()


class AppPasswordRow(NamedTuple):
    """A password for one program; `protocols` has words separated by spaces, as the table does."""

    id: int
    name: str
    password: str
    protocols: str
    expires: int | None = None


class LoginRow(NamedTuple):
    """A mailbox for logins; `enabled` is also False if its domain is disabled.

    `password` is a hash with its scheme. `quota`, `home` and `locked_until` as in `MailboxRow`.
    """

    id: int
    address: str
    display_name: str
    password: str | None
    quota: int | None
    enabled: bool
    may_login: bool
    may_send: bool
    may_receive: bool
    store: str | None
    app_passwords: tuple[AppPasswordRow, ...] = ()
    home: str = ""
    locked_until: int | None = None


class RuleRow(NamedTuple):
    """A rule for incoming mail; `text` is the JSON of the table."""

    name: str
    enabled: bool
    text: str

    @property
    def rule(self) -> Any:
        """The rule without its name; None if the text is not JSON."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            return None


class RulesRow(NamedTuple):
    """A mailbox with its rules in their order."""

    address: str
    rules: tuple[RuleRow, ...] = ()


RowAnswer: TypeAlias = (
    DomainRow
    | MailboxRow
    | AliasRow
    | LoginRow
    | RulesRow
    | tuple[AliasRow, ...]
    | tuple[str, ...]
    | None
)
"""The answer to an `Ask`, of the type that its table says."""

RowLookup: TypeAlias = Generator[tuple[Ask, ...], tuple[RowAnswer, ...], T]
"""A rule: a generator of questions that is sent their answers and returns a result."""


class Unavailable(Exception):  # noqa: N818
    """The database cannot be asked now. This says nothing about its contents."""


class Unresolvable(Exception):  # noqa: N818
    """The rows contradict each other, so mail must wait until somebody corrects them."""


def is_negative(answer: RowAnswer) -> bool:
    """Return whether the answer says that there is no such row."""
    return answer is None or answer == ()


def together(lookups: Sequence[RowLookup[T]]) -> RowLookup[list[T]]:
    """Run several look-ups at once with joined questions, and return all results in order."""
    results: dict[int, T] = {}
    waiting: list[tuple[int, RowLookup[T], tuple[Ask, ...]]] = []
    for number, lookup in enumerate(lookups):
        try:
            waiting.append((number, lookup, next(lookup)))
        except StopIteration as done:
            results[number] = done.value
    while waiting:
        answers = yield tuple(ask for _, _, asks in waiting for ask in asks)
        still, start = [], 0
        for number, lookup, asks in waiting:
            sent = answers[start : start + len(asks)]
            start += len(asks)
            try:
                still.append((number, lookup, lookup.send(sent)))
            except StopIteration as done:
                results[number] = done.value
        waiting = still
    return [results[number] for number in range(len(lookups))]


def solve(lookup: RowLookup[T], ask: Callable[[tuple[Ask, ...]], tuple[RowAnswer, ...]]) -> T:
    """Run `lookup` to its end and return its result; raises what it and `ask` raise."""
    try:
        asks = next(lookup)
        while True:
            asks = lookup.send(ask(asks))
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # StopIteration is not generic
