"""Circles of mail through aliases, forwarding, alias domains and catch-alls.

Postfix follows a circle a thousand times and then defers the message (virtual(5), ADDRESS
EXTENSION; virtual_alias_recursion_limit), so none may be stored. A look-up cuts those that arise in
other ways. An object that is disabled counts: it may be enabled at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, select, union_all

from accounts.address import fold_local_part
from accounts.lookup.terms import MAX_TARGETS
from accounts.store import schema
from accounts.store.errors import Invalid
from gatepost.wildcard import matches

MAX_LEVELS = 50
"""Maximum number of aliases in a row: more than anybody needs, and each costs a question."""
MAX_ADDRESSES = 20_000
"""Addresses that those of a domain may lead to; a single address has `MAX_TARGETS`."""
MAX_SHOWN = 10
"""Maximum number of addresses of a circle in a message."""
_CHUNK = 500
"""Maximum number of values in one query."""
DELIMITER = "+"
"""Begins an extension; the usual recipient_delimiter of Postfix."""


def catch_all(domain: str) -> str:
    """Return the node of the graph for all other addresses of a domain."""
    return f"@{domain}"


def without_name(connection: Connection, address: str) -> list[str]:
    """Return the starts of circles that may arise because a name was removed.

    Its address, and those with an extension, may now belong to wildcards and catch-alls, also in
    alias domains of its domain.
    """
    local, _, domain = address.rpartition("@")
    endings = tuple(f"@{name}" for name in _with_aliases(connection, domain))
    first, last = f"{local}{DELIMITER}", f"{local}{chr(ord(DELIMITER) + 1)}"
    found = _all_targets(connection, lambda target: and_(target >= first, target < last))
    return [
        *(f"{local}{ending}" for ending in endings),
        *(target for target in found if target.endswith(endings)),
    ]


def without_wildcard(connection: Connection, domain: str) -> list[str]:
    """Return the starts of circles that may arise because a wildcard of the domain was removed."""
    names = _with_aliases(connection, domain)
    return [
        *map(catch_all, names),
        *(one for name in names for one in targets_in(connection, name)),
    ]


def of_domain(connection: Connection, domain: str, *, is_moved: bool) -> list[str]:
    """Return the starts of circles that may arise because a domain has changed.

    `is_moved`: it became an alias domain or ceased to be one, so its addresses have a new meaning.
    """
    table, target = schema.domain, schema.domain.alias("target")
    final = connection.scalar(
        select(target.c.name)
        .join_from(table, target, target.c.id == table.c.alias_of)
        .where(table.c.name == domain)
    )
    names = [*_with_aliases(connection, domain), *([final] if final else [])]
    return [*map(catch_all, names), *(targets_in(connection, domain) if is_moved else [])]


def targets_in(connection: Connection, domain: str) -> list[str]:
    """Return all targets of aliases, mailboxes and catch-alls in this domain."""
    ending = f"@{domain}"
    return _all_targets(connection, lambda target: target.endswith(ending, autoescape=True))


def _all_targets(
    connection: Connection, condition: Callable[[ColumnElement[str]], ColumnElement[bool]]
) -> list[str]:
    columns = (
        schema.alias_target.c.target,
        schema.forward.c.target,
        schema.domain.c.catch_all,
    )
    found = union_all(*(select(column).where(condition(column)) for column in columns))
    return list(dict.fromkeys(connection.scalars(found)))


def _with_aliases(connection: Connection, domain: str) -> list[str]:
    """Return a domain and its alias domains."""
    table, target = schema.domain, schema.domain.alias("target")
    aliases = (
        select(table.c.name)
        .join_from(table, target, target.c.id == table.c.alias_of)
        .where(target.c.name == domain)
    )
    return [domain, *connection.scalars(aliases)]


def refuse(connection: Connection, field: str, starts: Iterable[str]) -> None:
    """Raise `Invalid` if mail to one of the addresses would go in a circle.

    Call this after all writes, in the transaction that the error rolls back.
    """
    graph = _explore(connection, field, starts)
    if circle := _circle(graph):
        shown = [*circle[:MAX_SHOWN], "…"] if len(circle) > MAX_SHOWN else circle
        raise Invalid(field, f"Mail would go in a circle: {' -> '.join(shown)}.")


def _explore(connection: Connection, field: str, starts: Iterable[str]) -> dict[str, Sequence[str]]:
    """Return the targets of each address that can be reached from `starts`."""
    resolver = _Resolver(connection)
    graph: dict[str, Sequence[str]] = {}
    level = set(starts)
    most = MAX_TARGETS if len(level) == 1 else MAX_ADDRESSES
    for _ in range(MAX_LEVELS):
        found = resolver.resolve(level)
        graph |= found
        level = {target for targets in found.values() for target in targets} - graph.keys()
        if not level:
            return graph
        if len(graph) + len(level) > most:
            raise Invalid(field, f"It leads to more than {most} addresses.")
    if circle := _circle(graph):  # a circle through an alias domain may be short
        raise Invalid(field, f"Mail would go in a circle: {' -> '.join(circle[:MAX_SHOWN])}.")
    raise Invalid(field, f"It leads through more than {MAX_LEVELS} addresses in a row.")


class _Resolver:
    """Resolver of the next step of many addresses at once, in the order of
    `accounts.lookup.find`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._domains: dict[str, Any] = {}
        self._wildcards: dict[str, list[str]] = {}

    def resolve(self, addresses: set[str]) -> dict[str, Sequence[str]]:
        """Return the targets of each address; mailboxes and foreign addresses have none."""
        self._learn_domains({address.rpartition("@")[2] for address in addresses})
        candidates = {address: list(self._candidates(address)) for address in addresses}
        named = self._named({one for several in candidates.values() for one in several})
        return {address: self._step(address, candidates[address], named) for address in addresses}

    def _step(
        self, address: str, candidates: Sequence[str], named: Mapping[str, Sequence[str]]
    ) -> Sequence[str]:
        for one in candidates:
            if one in named:
                return named[one]
        local, _, domain = address.rpartition("@")
        known = self._domains.get(domain)
        if known is None:
            return ()
        if not local:
            return () if known.catch_all is None else (known.catch_all,)
        through = (domain,) if known.target is None else (domain, known.target)
        for name in through:
            for one in candidates:
                for alias in self._patterns(name):
                    if matches(alias.rpartition("@")[0], one.rpartition("@")[0]):
                        return (alias,)
        if known.is_relay or known.target_is_relay:
            return ()
        for name, target in zip(through, (known.catch_all, known.target_catch_all), strict=False):
            if target is not None:
                return (catch_all(name),)
        return ()

    def _candidates(self, address: str) -> Iterator[str]:
        """Yield the names that an address may have: it, it without its extension, and both in the
        domain that its domain stands for."""
        local, _, domain = address.rpartition("@")
        known = self._domains.get(domain)
        if not local or known is None:
            return
        local = fold_local_part(local)
        base, _, extension = local.partition(DELIMITER)
        for name in (domain, known.target):
            if name is not None:
                yield f"{local}@{name}"
                if base and extension:
                    yield f"{base}@{name}"

    def _learn_domains(self, names: set[str]) -> None:
        table, target = schema.domain, schema.domain.alias("target")
        statement = select(
            table.c.name,
            table.c.catch_all,
            table.c.is_relay,
            target.c.name.label("target"),
            target.c.catch_all.label("target_catch_all"),
            target.c.is_relay.label("target_is_relay"),
        ).select_from(table.outerjoin(target, target.c.id == table.c.alias_of))
        unknown = names - self._domains.keys()
        self._domains |= dict.fromkeys(unknown)
        for some in _chunks(unknown):
            for row in self._connection.execute(statement.where(table.c.name.in_(some))):
                self._domains[row.name] = row

    def _named(self, addresses: set[str]) -> dict[str, Sequence[str]]:
        """Return the targets of those that are names; most mailboxes have none."""
        found: dict[str, list[str]] = {}
        for some in _chunks(addresses):
            names = select(schema.name.c.address).where(schema.name.c.address.in_(some))
            for address in self._connection.scalars(names):
                found[address] = []
            for owner, targets in (
                (schema.alias, schema.alias_target),
                (schema.mailbox, schema.forward),
            ):
                joined = owner.join(targets)
                statement = select(owner.c.address, targets.c.target).select_from(joined)
                for address, target in self._connection.execute(
                    statement.where(owner.c.address.in_(some))
                ):
                    found[address].append(target)
        return dict(found)

    def _patterns(self, domain: str) -> list[str]:
        """Return the wildcards of a domain, the most specific one first."""
        if domain not in self._wildcards:
            statement = (
                select(schema.alias.c.address)
                .join_from(schema.alias, schema.domain)
                .where(schema.domain.c.name == domain, schema.alias.c.is_wildcard)
            )
            self._wildcards[domain] = sorted(
                self._connection.scalars(statement),
                key=lambda alias: (alias.count("*") - len(alias), alias),
            )
        return self._wildcards[domain]


def _circle(graph: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a circle of the graph, with its first address repeated at the end, or nothing.

    This is a depth-first search without recursion, with a stack of the nodes left at each step.
    """
    done: set[str] = set()
    for start in graph:
        way: list[str] = []
        on_way: set[str] = set()
        left: list[Iterator[str]] = [iter((start,))]
        while left:
            following = next(left[-1], None)
            if following is None:
                left.pop()
                if way:
                    ended = way.pop()
                    on_way.discard(ended)
                    done.add(ended)
            elif following in on_way:
                return [*way[way.index(following) :], following]
            elif following not in done:
                way.append(following)
                on_way.add(following)
                left.append(iter(graph.get(following, ())))
    return []


def _chunks(values: Iterable[str]) -> Iterator[list[str]]:
    left = iter(sorted(values))
    while some := list(islice(left, _CHUNK)):
        yield some
