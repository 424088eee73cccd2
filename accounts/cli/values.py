"""Values of options, and their text for people."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, Final

import click

from gatepost.config.types import parse_duration, parse_size

NONE: Final = "none"
"""The word that removes a value."""


class Cleared:
    """Value of an option that was `NONE`: for click, a plain None is an option that was not
    given."""


CLEARED: Final = Cleared()


class FlagParameter(click.ParamType):  # type: ignore[type-arg]  # click before 8.5 has none
    """Parameter of the words `yes` and `no`."""

    name = "yes|no"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bool:
        """Return the boolean."""
        return bool(click.BOOL.convert(value, param, ctx))

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        """Return the words for the help."""
        return "yes|no"


class OrNone(click.ParamType):  # type: ignore[type-arg]  # as above
    """Parameter with a value that `NONE` removes."""

    def __init__(self, metavar: str) -> None:
        self.name = metavar

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value, or `CLEARED`."""
        if isinstance(value, str) and value.strip().lower() == NONE:
            return CLEARED
        try:
            return self.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)

    def parse(self, value: Any) -> Any:
        """Return the value; raises `ValueError`."""
        return value

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        """Return the form for the help."""
        return f"{self.name}|{NONE}"


class NumberParameter(OrNone):
    """Parameter of a whole number."""

    def parse(self, value: Any) -> int:
        """Return the number."""
        text = str(value)
        if not (text.isascii() and text.isdecimal() and len(text) <= 18):
            raise ValueError(f"{text[:40]!r} is not a whole number")
        return int(text)


class DecimalParameter(OrNone):
    """Parameter of a number."""

    def parse(self, value: Any) -> float:
        """Return the number."""
        try:
            return float(value)
        except ValueError:
            raise ValueError(f"{str(value)[:40]!r} is not a number") from None


class SizeParameter(OrNone):
    """Parameter of a size in octets, such as 500M or 5G."""

    def parse(self, value: Any) -> int:
        """Return the octets."""
        text = str(value)
        if len(text) > 40 or not text.isascii():
            raise ValueError('this is not a size: write bytes, or "64K", "10M", "1G"')
        return int(parse_size(text))


class DurationParameter(OrNone):
    """Parameter of a duration, such as 300, 5m or 1h30m."""

    def parse(self, value: Any) -> int:
        """Return whole seconds."""
        return int(parse_duration(str(value)[:60]))


class TimeParameter(OrNone):
    """Parameter of a time: a date, a date with a time, or a duration from now."""

    def parse(self, value: Any) -> int:
        """Return seconds since the epoch; a date without a zone is in UTC."""
        text = str(value)[:60]
        try:
            return read_time(text, 1)
        except ValueError:
            raise ValueError(
                f'{text!r} is not a time: write "2027-01-31", "2027-01-31T12:00" or "30d" from now'
            ) from None


def read_time(text: str, direction: int) -> int:
    """Return seconds since the epoch of a date, a date with a time, or a duration from now.

    A date without a zone is in UTC. `direction` is 1 if a duration leads into the future, -1 if it
    leads into the past. Raises `ValueError`.
    """
    # a number without a unit may be a year
    if text.isascii() and text[-1:].isalpha() and "-" not in text:
        return max(0, int(time.time() + direction * parse_duration(text)))
    found = datetime.fromisoformat(text)
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())


def time_text(seconds: int | None) -> str:
    """Return a time in UTC, to the minute."""
    if seconds is None:
        return "never"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def date_text(seconds: int | None) -> str:
    """Return the day of a time in UTC."""
    return "never" if seconds is None else time_text(seconds)[:10]


def size_text(octets: int | None) -> str:
    """Return octets in the form that `SizeParameter` reads."""
    if octets is None:
        return NONE
    for unit, factor in (("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if octets and octets % factor == 0:
            return f"{octets // factor}{unit}"
    return str(octets)


def flag_text(value: bool) -> str:
    """Return a boolean in the form that `FlagParameter` reads."""
    return "yes" if value else "no"


def list_text(values: Any) -> str:
    """Return several words in one line."""
    return ", ".join(values) or NONE


def state_text(**flags: bool) -> str:
    """Return the unusual states: the words whose flag is set."""
    return ", ".join(word.replace("_", " ") for word, is_set in flags.items() if is_set)
