"""Changes of the configuration that a running daemon cannot apply."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from gatepost.config.section import Section
from gatepost.config.watched import paths_in

AT_START: Final[dict[str, JsonValue]] = {"at_start": True}
"""The `json_schema_extra` of a key that is only read at the start: it takes effect before the
daemon drops root, or replacing it would lose data. The reference says so."""


def waiting_for_a_start(running: Section, new: Section, name: str) -> Iterator[str]:
    """Yield the changed keys that are only read at the start, such as ``policyd.listen``.

    `running` is the section at the start of the daemon, `name` its name.
    """
    for key, info in type(running).model_fields.items():
        before, after = getattr(running, key), getattr(new, key)
        if info.json_schema_extra == AT_START:
            if before != after:
                yield f"{name}.{key}"
        elif isinstance(before, Section):
            yield from waiting_for_a_start(before, after, f"{name}.{key}")


def keys_at_start(section: type[Section], name: str) -> Iterator[str]:
    """Yield every key of a section that is only read at the start, such as ``policyd.listen``."""
    for key, info in section.model_fields.items():
        if info.json_schema_extra == AT_START:
            yield f"{name}.{key}"
        elif isinstance(info.annotation, type) and issubclass(info.annotation, Section):
            yield from keys_at_start(info.annotation, f"{name}.{key}")


def files_read_at_start(section: Section, name: str) -> Iterator[tuple[str, Path]]:
    """Yield the watched files of keys that are only read at the start, each with its key.

    A change of their content takes effect at a restart, too. `name` is that of the section.
    """
    for key, info in type(section).model_fields.items():
        value = getattr(section, key)
        if info.json_schema_extra == AT_START:
            for path in paths_in(info.annotation, info.metadata, value):
                yield f"{name}.{key}", path
        elif isinstance(value, Section):
            yield from files_read_at_start(value, f"{name}.{key}")
