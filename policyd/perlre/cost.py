"""A bound for the work of a backtracking matcher."""

from __future__ import annotations

from policyd.perlre import nodes
from policyd.perlre.nodes import Node

LIMIT = 10**9
"""Counts stop here: more would take too long in any case."""


def paths(node: Node, length: int) -> int:
    """Return an upper bound for the number of ways `node` can match from one place in `length`
    bytes."""
    match node:
        case nodes.Sequence(items):
            product = 1
            for item in items:
                product = min(product * paths(item, length), LIMIT)
            return product
        case nodes.Alternatives(branches):
            return min(sum(paths(branch, length) for branch in branches), LIMIT)
        case nodes.Group(body) | nodes.Atomic(body):
            return paths(body, length)
        case nodes.Lookaround(body):
            return min(1 + paths(body, length), LIMIT)
        case nodes.Repeat(body, least, most):
            each = paths(body, length)
            least_width = nodes.widths(body)[0]
            if least_width == 0:
                return LIMIT
            times = length // least_width
            times = times if most is None else min(most, times)
            if each == 1:
                return max(1, times - least + 1)
            total, product = 0, 1
            for count in range(times + 1):
                if count >= least:
                    total += product
                product *= each
                if max(total, product) > LIMIT:
                    return LIMIT
            return max(1, total)
        case _:
            return 1
