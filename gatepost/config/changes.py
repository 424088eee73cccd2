"""What of a changed configuration a running daemon does not take over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from gatepost.config.section import Section
from gatepost.config.watched import paths_in

AT_START: Final[dict[str, JsonValue]] = {"at_start": True}
"""The `json_schema_extra` of a key that is read at the start alone: what it says is done before
the daemon leaves root, or holds what would be lost with it. The reference says so."""


def waiting_for_a_start(running: Section, new: Section, name: str) -> Iterator[str]:
    """Yield the keys that differ and are read at the start alone, as ``policyd.listen``.

    `running` is what the daemon was started with, `name` that of the section.
    """
    for key, info in type(running).model_fields.items():
        before, after = getattr(running, key), getattr(new, key)
        if info.json_schema_extra == AT_START:
            if before != after:
                yield f"{name}.{key}"
        elif isinstance(before, Section):
            yield from waiting_for_a_start(before, after, f"{name}.{key}")


def files_read_at_start(section: Section, name: str) -> Iterator[tuple[str, Path]]:
    """Yield the watched files of keys that are read at the start alone, each with its key.

    A restart takes over a change of its content, too. `name` is that of the section.
    """
    for key, info in type(section).model_fields.items():
        value = getattr(section, key)
        if info.json_schema_extra == AT_START:
            for path in paths_in(info.annotation, info.metadata, value):
                yield f"{name}.{key}", path
        elif isinstance(value, Section):
            yield from files_read_at_start(value, f"{name}.{key}")
