"""Writer of TOML for the configuration files of tests; Python's library only reads TOML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def document(settings: Mapping[str, Any]) -> str:
    """Return a document with one key per line; top-level tables have headings."""
    plain = {key: value for key, value in settings.items() if not isinstance(value, Mapping)}
    lines = [f"{key} = {value_text(value)}" for key, value in plain.items()]
    for key, table in settings.items():
        if key not in plain:
            lines += [f"[{key}]", *(f"{name} = {value_text(one)}" for name, one in table.items())]
    return "\n".join(lines) + "\n"


def value_text(value: Any) -> str:
    """Return a value in TOML, with inline tables."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {value_text(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(value_text, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
