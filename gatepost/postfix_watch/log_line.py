"""Line of the log of Postfix: its time, the program, and the text."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Final, NamedTuple

MAX_LINE: Final = 8 << 10
"""Octets of a line. Postfix cuts its own texts at 2,000, and a reply in them may be repeated."""
_DAY: Final = 86_400.0
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}
# the traditional time, or that of ISO 8601, as rsyslog of Debian 12 writes it
_LINE: Final = re.compile(
    r"(?:(?P<month>[A-Z][a-z]{2}) (?P<day>[ 0-9]\d) (?P<clock>\d\d:\d\d:\d\d)|"
    r"(?P<iso>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)))"
    r" [!-~]{1,255} (?P<program>[A-Za-z0-9_./-]{1,100})\[\d{1,10}\]: (?P<text>.*)",
    re.DOTALL,
)
_PROGRAM: Final = re.compile(r"postfix[A-Za-z0-9_.-]*(?:/[A-Za-z0-9_.-]+)*/([a-z]+)\Z")


class LogLine(NamedTuple):
    """A line that a program of Postfix has written.

    `program` is the name without that of the service, such as ``smtp`` in
    ``postfix/relay/smtp``. `at` is in seconds since the epoch.
    """

    at: float
    program: str
    text: str


def parse_line(octets: bytes, now: float) -> LogLine | None:
    """Return a line of a log file; None if it is not one of Postfix.

    `now` gives the year, which the traditional form does not have; its time is that of this host.
    """
    found = _LINE.match(octets[:MAX_LINE].decode("utf-8", "replace"))
    if found is None or (program := program_of(found["program"])) is None:
        return None
    at = _iso_time(found["iso"]) if found["iso"] else _local_time(found, now)
    return None if at is None else LogLine(at, program, found["text"])


def program_of(tag: str) -> str | None:
    """Return the program of a syslog tag such as ``postfix/smtp``; None for another one's.

    `syslog_name` of main.cf has to begin with ``postfix``, as it does by default.
    """
    found = _PROGRAM.match(tag)
    return None if found is None else found[1]


def _iso_time(text: str) -> float | None:
    try:
        # Python takes at most six digits of a fraction
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)).timestamp()
    except ValueError:
        return None


def _local_time(found: re.Match[str], now: float) -> float | None:
    month = _MONTHS.get(found["month"])
    if month is None:
        return None
    hours, minutes, seconds = (int(part) for part in found["clock"].split(":"))
    year = time.localtime(now).tm_year
    for one in (year, year - 1):
        try:
            # mktime() takes 30 February, too
            datetime(one, month, int(found["day"]), hours, minutes, min(seconds, 59), tzinfo=UTC)
            at = time.mktime((one, month, int(found["day"]), hours, minutes, seconds, 0, 0, -1))
        except (ValueError, OverflowError):
            continue
        # a line of December that is read in January
        if at <= now + _DAY:
            return at
    return None
