"""Trees of JSON and YAML from other systems, with a bound on depth and size."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from accounts.exchange.files import LARGEST_DOCUMENT
from accounts.exchange.notes import SourceError, SourcePlace

LARGEST_YAML = 16 << 20
"""Octets of a YAML document: it takes about a second for each MiB."""

DEEPEST = 20
"""Lists and objects within each other; what we read has 5."""

_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None, "yes": True, "no": False}


def read_json(file: str, data: bytes) -> Any:
    """Return the value of a JSON text; raise `SourceError` for other text and one too deep."""
    if len(data) > LARGEST_DOCUMENT:
        raise SourceError(f"{file}: the document is larger than {LARGEST_DOCUMENT >> 20} MiB")
    try:
        value = json.loads(data.removeprefix(codecs.BOM_UTF8).decode())
    except UnicodeDecodeError:
        raise SourceError(f"{file}: the document is not UTF-8") from None
    except RecursionError:
        raise SourceError(f"{file}: the document is nested more than {DEEPEST} deep") from None
    except ValueError as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else 0
        raise SourceError(f"{SourcePlace(file, line)}: not valid JSON") from None
    layer = [value] if isinstance(value, dict | list) else []
    for _ in range(DEEPEST):
        groups = [one.values() if isinstance(one, dict) else one for one in layer]
        layer = [child for group in groups for child in group if isinstance(child, dict | list)]
    if not layer:
        return value
    raise SourceError(f"{file}: the document is nested more than {DEEPEST} deep")


def read_yaml(file: str, data: bytes) -> Any:
    """Return the value of the first YAML document of a text.

    Only scalars, lists and mappings are read: tags and anchors are refused, since nothing that we
    read has them and they can grow without bound. Raises `SourceError`.
    """
    if len(data) > LARGEST_YAML:
        raise SourceError(f"{file}: the document is larger than {LARGEST_YAML >> 20} MiB")
    try:
        text = data.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError:
        raise SourceError(f"{file}: the document is not UTF-8") from None
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Builder(file).value(iter(yaml.parse(text, loader)))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = SourcePlace(file, mark.line + 1 if mark is not None else 0)
        raise SourceError(f"{place}: not valid YAML") from None


class _Builder:
    """Builder of values from the events of PyYAML, with its own stack instead of recursion."""

    def __init__(self, file: str) -> None:
        self._file = file

    def value(self, events: Iterator[Any]) -> Any:
        """Return the value of the first document; None for an empty text."""
        root: list[Any] = []
        stack: list[list[Any] | dict[str, Any]] = [root]
        keys: list[str | None] = [None]
        for event in events:
            if getattr(event, "anchor", None) is not None or getattr(event, "tag", None):
                raise self._error(event, "anchors, aliases and tags are not supported")
            if isinstance(event, yaml.ScalarEvent):
                if isinstance(stack[-1], dict) and keys[-1] is None:
                    keys[-1] = event.value
                else:
                    self._put(stack, keys, _scalar(event))
            elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
                if len(stack) > DEEPEST:
                    raise self._error(event, f"the document is nested more than {DEEPEST} deep")
                if isinstance(stack[-1], dict) and keys[-1] is None:
                    raise self._error(event, "a key is a list or a mapping")
                child: list[Any] | dict[str, Any]
                child = {} if isinstance(event, yaml.MappingStartEvent) else []
                self._put(stack, keys, child)
                stack.append(child)
                keys.append(None)
            elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
                stack.pop()
                keys.pop()
            elif isinstance(event, yaml.DocumentEndEvent):
                break
        return root[0] if root else None

    def _put(self, stack: list[Any], keys: list[str | None], value: Any) -> None:
        parent, key = stack[-1], keys[-1]
        if isinstance(parent, list):
            parent.append(value)
        else:
            parent[key] = value
            keys[-1] = None

    def _error(self, event: Any, text: str) -> SourceError:
        return SourceError(f"{SourcePlace(self._file, event.start_mark.line + 1)}: {text}")


def _scalar(event: Any) -> Any:
    """Return a plain scalar as the value that it looks like; a quoted one is text."""
    text: str = event.value
    if not event.implicit[0]:
        return text
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    return int(text) if _INTEGER.fullmatch(text) else text
