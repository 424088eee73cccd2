"""Loops of aliases and forwarding in a source, which the datastore refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from accounts.exchange.gathering import Gathering, Held

_GRAY, _BLACK = 1, 2


def cut_circles(gathering: Gathering) -> None:
    """Leave out each target that leads mail back to where it came from, and note it.

    An alias without another target is left out; a mailbox then keeps its mail.
    """
    _Circles(gathering).cut()


class _Circles:
    def __init__(self, gathering: Gathering) -> None:
        self._g = gathering
        self._wildcards: dict[str, list[tuple[re.Pattern[str], str]]] = {}
        for address in gathering.aliases:
            local, _, domain = address.rpartition("@")
            if "*" in local:
                pattern = re.compile(re.escape(local).replace(r"\*", ".*"), re.DOTALL)
                self._wildcards.setdefault(domain, []).append((pattern, address))
        self._colours: dict[str, int] = {}

    def cut(self) -> None:
        """Visit every object once, without recursion, because a chain may be long."""
        starts = [*self._g.aliases, *self._g.mailboxes]
        starts += [f"@{name}" for name in self._g.domains]
        for start in starts:
            if start not in self._colours:
                self._walk(start)

    def _walk(self, start: str) -> None:
        stack: list[tuple[str, Iterator[str]]] = [(start, iter(self._targets(start)))]
        self._colours[start] = _GRAY
        while stack:
            node, targets = stack[-1]
            target = next(targets, None)
            if target is None:
                self._colours[node] = _BLACK
                stack.pop()
                continue
            following = self._resolve(target)
            if following is None:
                continue
            colour = self._colours.get(following)
            if colour == _GRAY:
                self._drop(node, target)
            elif colour is None:
                self._colours[following] = _GRAY
                stack.append((following, iter(self._targets(following))))

    def _held(self, node: str) -> tuple[Held | None, str]:
        """Return the object of a node and the field that has its targets."""
        if node.startswith("@"):
            return self._g.domains.get(node[1:]), "catch_all"
        if node in self._g.mailboxes:
            return self._g.mailboxes[node], "forwards"
        return self._g.aliases.get(node), "targets"

    def _targets(self, node: str) -> tuple[str, ...]:
        held, field = self._held(node)
        value = held.fields.get(field) if held is not None else None
        return (value,) if isinstance(value, str) else tuple(value or ())

    def _resolve(self, address: str) -> str | None:
        """Return the node that has an address, None for a host that is not ours."""
        local, _, domain = address.rpartition("@")
        held = self._g.domains.get(domain)
        if held is None:
            return None
        names = [domain, *([held.fields["alias_of"]] if held.fields.get("alias_of") else [])]
        for name in names:
            for one in (local, local.partition("+")[0]):
                if (own := f"{one}@{name}") in self._g.mailboxes or own in self._g.aliases:
                    return own
        for name in names:
            for pattern, alias in self._wildcards.get(name, ()):
                if pattern.fullmatch(local):
                    return alias
        for name in names:
            if (there := self._g.domains.get(name)) and there.fields.get("catch_all"):
                return f"@{name}"
        return None

    def _drop(self, node: str, target: str) -> None:
        held, field = self._held(node)
        if held is None:
            return
        text = f"{node} leads to {target}, from where mail would come back"
        place = self._g.whole_domains.get(node[1:], held.place)
        self._g.note("left out", text, place)
        left = tuple(one for one in self._targets(node) if one != target)
        if field == "catch_all":
            held.fields[field] = None
        elif left:
            held.fields[field] = left
        elif field == "targets":
            del self._g.aliases[node]
        else:
            held.fields.update(forwards=(), keep_copy=True)
