"""Reader of opendkim.conf: its options and their lines (opendkim.conf(5))."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from milters.keys.tables.errors import OpendkimError, Place
from milters.keys.tables.lines import content, read_file
from milters.migration.opendkim.options import KNOWN

MAX_INCLUDES = 5
"""Maximum depth of includes, the same as in opendkim."""

MAX_OPTIONS = 10_000
"""Maximum number of options, because includes could multiply without end."""

_TRUE, _FALSE = "tTyY1", "fFnN0"


@dataclass(frozen=True, slots=True)
class Option:
    """One line: the name as written, and the rest of the line."""

    place: Place
    name: str
    value: str

    @property
    def boolean(self) -> bool:
        """The value of a Boolean option; only its first character counts."""
        return self.value[:1] in _TRUE


@dataclass(frozen=True)
class OpendkimConfiguration:
    """The lines of opendkim.conf and of its included files, in order."""

    path: Path
    options: tuple[Option, ...]

    def get(self, *names: str) -> Option | None:
        """Return the option that has one of these names; the last one counts."""
        wanted = {name.lower() for name in names}
        found = [option for option in self.options if option.name.lower() in wanted]
        return found[-1] if found else None

    def value(self, *names: str, default: str = "") -> str:
        """Return the value of the option that `get` returns."""
        option = self.get(*names)
        return option.value if option is not None else default


def read_configuration(
    path: Path, read: Callable[[Path], str] = read_file
) -> OpendkimConfiguration:
    """Read opendkim.conf. Raises `OpendkimError` for errors with which opendkim would not start,
    except for unknown options: the caller reports those."""
    options: list[Option] = []
    _read_into(options, path, read, 0)
    return OpendkimConfiguration(path, tuple(options))


def _read_into(options: list[Option], path: Path, read: Callable[[Path], str], depth: int) -> None:
    for place, line in content(read(path), str(path)):
        name, _, value = line.replace("\t", " ").partition(" ")
        option = Option(place, name, value.strip())
        _check(option)
        if len(options) >= MAX_OPTIONS:
            raise OpendkimError(place, f"there are more than {MAX_OPTIONS} options")
        options.append(option)
        if name.lower() == "include":
            if depth >= MAX_INCLUDES:
                raise OpendkimError(place, f"files include one another {MAX_INCLUDES} deep")
            try:
                _read_into(options, Path(option.value), read, depth + 1)
            except OpendkimError as error:
                raise OpendkimError(place, str(error)) from error


def _check(option: Option) -> None:
    known = KNOWN.get(option.name.lower())
    if known is None:
        return
    if not option.value:
        raise OpendkimError(option.place, f"{option.name} has no value")
    if known.is_boolean and option.value[:1] not in _TRUE + _FALSE:
        raise OpendkimError(
            option.place, f"{option.name} is yes or no, and {option.value[:40]!r} is neither"
        )


def unknown_options(configuration: OpendkimConfiguration) -> list[tuple[Option, str]]:
    """Return the options unknown to opendkim 2.11, each with the name that may be meant."""
    found = []
    for option in configuration.options:
        name = option.name.lower()
        if name not in KNOWN:
            close = difflib.get_close_matches(name, KNOWN, 1)
            found.append((option, KNOWN[close[0]].name if close else ""))
    return found
