"""Generator of docs/rfcs.md: the standards, section by section, and the modules that obey them.

docs/rfcs.toml contains a claim for each section. The code cites a section on the line that obeys it
(``# RFC 6376 section 3.7``). A claim without a citation and a citation without a claim are both
errors.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGES = ("msgauth", "gatepost", "milters", "policyd", "accounts", "delivery")
_CITATION = re.compile(
    r"RFC\s+(?P<rfc>\d{3,5})\b(?:(?:\s+#?\s*|,\s*)sections?\s+(?P<first>[0-9A-Z][0-9A-Za-z.]*\b)"
    r"(?P<more>(?:(?:,|\s+and|\s+to|;\s+sections?)\s+\d[0-9.]*\b)*))?"
)
_STATUS = ("yes", "partly", "no")

Citations = dict[int, dict[str, list[str]]]


def citations() -> Citations:
    """Return RFC → section ("" for the RFC as a whole) → modules that cite it."""
    found: Citations = defaultdict(lambda: defaultdict(list))
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            module = str(path.relative_to(ROOT))
            for rfc, section in cited_in(path.read_text(encoding="utf-8")):
                modules = found[rfc][section]
                if module not in modules:
                    modules.append(module)
    return found


def cited_in(source: str) -> Iterator[tuple[int, str]]:
    """Yield RFC and section ("" for the RFC as a whole) of each citation in a module."""
    # a citation may span two lines of a comment or docstring
    text = re.sub(r"\s*\n\s*(?:#\s*)?", " ", source)
    for match in _CITATION.finditer(text):
        for section in (match["first"] or "", *re.findall(r"\d[0-9.]*", match["more"] or "")):
            yield int(match["rfc"]), section.rstrip(".")


def check(claims: dict[str, Any], cited: Citations) -> list[str]:
    """Return a line for each mismatch between claims and citations."""
    problems = []
    for rfc in sorted(set(cited) - {int(number) for number in claims}):
        where = sorted({module for modules in cited[rfc].values() for module in modules})
        problems.append(f"RFC {rfc} is cited in {', '.join(where)} but is not in docs/rfcs.toml")
    for number, claim in claims.items():
        for section, entry in claim.get("sections", {}).items():
            if entry["status"] not in _STATUS:
                problems.append(f"RFC {number} section {section}: status is one of {_STATUS}")
            if entry["status"] == "yes" and not _where(cited, int(number), section):
                problems.append(f"RFC {number} section {section} is claimed but not cited")
    return problems


def _where(cited: Citations, rfc: int, section: str) -> list[str]:
    return sorted(
        {
            module
            for known, modules in cited.get(rfc, {}).items()
            if known == section or known.startswith(section + ".")
            for module in modules
        }
    )


def _order(section: str) -> list[tuple[int, int | str]]:
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in section.split(".")]


def page(claims: dict[str, Any], cited: Citations) -> str:
    """Return the page in Markdown."""
    lines = [
        "# Standards, section by section",
        "",
        "Written by `make docs` from `docs/rfcs.toml` and from the sections that the code cites.",
        "A row also stands for the sections below it: 5.4 for 5.4.2. Search a module for",
        "the number.",
        "",
        "| RFC | title | status |",
        "|---|---|---|",
    ]
    lines += [
        f"| [{number}](#rfc-{number}) | {claim['title']} | {claim['status']} |"
        for number, claim in claims.items()
    ]
    for number, claim in claims.items():
        lines += ["", f"## RFC {number}", "", f"{claim['title']}. {claim.get('note', '')}".strip()]
        lines += _sections(claim.get("sections", {}), cited, int(number))
    return "\n".join(lines) + "\n"


def _sections(sections: dict[str, Any], cited: Citations, rfc: int) -> list[str]:
    lines = []
    if sections:
        lines += ["", "| section | subject | status | modules |", "|---|---|---|---|"]
    for section in sorted(sections, key=_order):
        entry = sections[section]
        what = entry["what"] + (f": {entry['note']}" if "note" in entry else "")
        where = ", ".join(f"`{module}`" for module in _where(cited, rfc, section))
        lines.append(f"| {section} | {what} | {entry['status']} | {where} |")
    others = [
        f"{section or 'as a whole'} (" + ", ".join(f"`{module}`" for module in modules) + ")"
        for section, modules in sorted(cited.get(rfc, {}).items(), key=lambda item: _order(item[0]))
        if not any(section == known or section.startswith(known + ".") for known in sections)
    ]
    if others:
        lines += ["", ("Also cited: " if sections else "Cited: ") + "; ".join(others) + "."]
    return lines


def main() -> None:
    """Write the page, or report the mismatches."""
    claims = tomllib.loads((ROOT / "docs" / "rfcs.toml").read_text(encoding="utf-8"))
    cited = citations()
    if problems := check(claims, cited):
        sys.exit("\n".join(problems))
    (ROOT / "docs" / "rfcs.md").write_text(page(claims, cited), encoding="utf-8")


if __name__ == "__main__":
    main()
