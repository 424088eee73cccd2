"""A report of all findings about a domain, as text, as data and as a zone file."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from accounts.dnscheck.finding import DnsFinding, FindingLevel
from accounts.dnscheck.zonefile import record_line
from gatepost.printable import escape

WIDTH = 80
"""Columns of the text."""

MAX_SHOWN = 10
"""Maximum number of records that the text shows of a finding; others decide how many there are."""

MAX_LENGTH = 1000
"""Characters of one record that the text shows; an RSA key of 4096 bits has some 750."""

MAX_RECORDS, MAX_DATA = 50, 8192
"""Records of one finding in the data, and characters of each."""

_COUNTED = (
    (FindingLevel.ERROR, "error", "errors"),
    (FindingLevel.WARNING, "warning", "warnings"),
    (FindingLevel.UNKNOWN, "without an answer", "without an answer"),
    (FindingLevel.OK, "as it should be", "as they should be"),
)
_SEVERITY = (FindingLevel.OK, FindingLevel.UNKNOWN, FindingLevel.WARNING, FindingLevel.ERROR)


@dataclass(frozen=True, slots=True)
class WebFile:
    """A file that a web server has to serve; it was not fetched."""

    url: str
    text: str
    """What the file should contain."""


@dataclass(frozen=True, slots=True)
class DomainReport:
    """Results of the check of a domain; `ttl` is for the zone file, in seconds."""

    domain: str
    findings: tuple[DnsFinding, ...]
    files: tuple[WebFile, ...] = ()
    ttl: int = 3600

    @property
    def level(self) -> FindingLevel:
        """Return the worst level of all findings."""
        return max(
            (found.level for found in self.findings), key=_SEVERITY.index, default=FindingLevel.OK
        )

    def as_text(self, width: int = WIDTH) -> str:
        """Return the report for a terminal, in lines of at most `width` columns, 40 at least.

        Nothing in it does anything to the terminal, whatever DNS says.
        """
        width = max(width, 40)
        blocks = ["\n".join(_wrap(f"{self.domain}: {self._summary()}", width, "", "  "))]
        blocks += ["\n".join(_block(finding, width)) for finding in self.findings]
        for file in self.files:
            lines = _wrap(f"Not fetched, so not checked: {file.url}", width, "", "  ")
            lines += _wrap("The file should contain:", width, "  ", "  ")
            for line in file.text.splitlines():
                lines += _wrap(line, width, "    ", "      ")
            blocks.append("\n".join(lines))
        return "\n\n".join(blocks) + "\n"

    def as_data(self) -> dict[str, Any]:
        """Return the report as JSON holds it."""
        return {
            "domain": self.domain,
            "level": self.level.value,
            "findings": [
                {
                    "topic": found.topic,
                    "name": found.name,
                    "type": found.type,
                    "level": found.level.value,
                    "text": found.text,
                    "found": [record[:MAX_DATA] for record in found.found[:MAX_RECORDS]],
                    "wanted": list(found.wanted),
                }
                for found in self.findings
            ],
            "files": [{"url": file.url, "text": file.text} for file in self.files],
        }

    def as_zone(self, *, only_missing: bool = False) -> str:
        """Return the records to publish as a zone file, with absolute names.

        Those are the wished ones; a text that DNS has and that is right stays as it is.
        Records of other zones, such as those of reverse names, are comments. With `only_missing`
        there are only those of findings that are not ok.
        """
        ours: dict[str, None] = {}
        foreign: dict[str, None] = {}
        for found in self.findings:
            if only_missing and found.level is FindingLevel.OK:
                continue
            place = ours if self._is_ours(found.name) else foreign
            keep = found.type == "TXT" and found.level is FindingLevel.OK
            for record in (keep and found.found) or found.wanted:
                place[record_line(found.name, found.type, record, self.ttl)] = None
        lines = [f"; {self.domain}: the records that it should have", *ours]
        if foreign:
            lines += ["", "; in zones of others:"]
            lines += [f"; {line}" for block in foreign for line in block.split("\n")]
        return "\n".join(lines) + "\n"

    def _is_ours(self, name: str) -> bool:
        return name == self.domain or name.endswith(f".{self.domain}")

    def _summary(self) -> str:
        counts = Counter(found.level for found in self.findings)
        parts = [
            f"{counts[level]} {one if counts[level] == 1 else more}"
            for level, one, more in _COUNTED
            if counts[level]
        ]
        return ", ".join(parts) or "nothing to check"


def _block(finding: DnsFinding, width: int) -> Iterator[str]:
    topic = f"{finding.topic}: " if finding.topic != finding.type else ""
    yield from _wrap(
        f"{finding.level.value:<7}  {topic}{finding.name} {finding.type}",
        width,
        "",
        " " * 9,
    )
    yield from _wrap(finding.text, width, "  ", "  ")
    yield from _records("is", finding.found, width)
    if finding.level is not FindingLevel.OK:
        yield from _records("should", finding.wanted, width)


def _records(label: str, records: tuple[str, ...], width: int) -> Iterator[str]:
    for record in records[:MAX_SHOWN]:
        shown = record if len(record) <= MAX_LENGTH else record[:MAX_LENGTH] + "..."
        yield from _wrap(shown, width, f"  {label:<7} ", " " * 10)
        label = ""
    if len(records) > MAX_SHOWN:
        yield f"{'':10}and {len(records) - MAX_SHOWN} more"


def _wrap(text: str, width: int, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        escape(text),
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
    ) or [first.rstrip()]
