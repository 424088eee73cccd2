"""What of a changed configuration a running daemon does not take over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import JsonValue

from gatepost.config.section import Section

AT_START: Final[dict[str, JsonValue]] = {"at_start": True}
"""The `json_schema_extra` of a key that is read at the start alone: what it says is done before
the daemon leaves root, or holds what would be lost with it. The reference says so."""


def waiting_for_a_start(running: Section, new: Section, name: str) -> Iterator[str]:
    """The keys of a section that differ and are read at the start alone, as ``policyd.listen``.

    `running` is what the daemon was started with, `name` that of the section.
    """
    for key, info in type(running).model_fields.items():
        before, after = getattr(running, key), getattr(new, key)
        if info.json_schema_extra == AT_START:
            if before != after:
                yield f"{name}.{key}"
        elif isinstance(before, Section):
            yield from waiting_for_a_start(before, after, f"{name}.{key}")
