"""Rendering of templates, with everything from outside escaped."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from accounts.pages.language import ENGLISH, catalogue

_UNITS: Final = ("octets", "kB", "MB", "GB", "TB")


@cache
def environment(language: str) -> Environment:
    """Return the environment of templates in a language."""
    made = Environment(
        loader=PackageLoader("accounts.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    texts = catalogue(language)
    made.install_gettext_callables(  # type: ignore[attr-defined] # the extension adds it
        texts.gettext, texts.ngettext, newstyle=True
    )
    made.filters["size"] = size
    made.filters["amount"] = amount
    made.filters["detail"] = detail
    made.filters["last_day"] = last_day
    made.filters["time"] = moment
    made.filters["instant"] = instant
    made.filters["day"] = day
    made.filters["said"] = lambda sentence: said(sentence, language)
    return made


def said(sentence: str, language: str) -> Markup:
    """Return a sentence of the service, which is English unless the catalogue has it.

    A screen reader has to know the language of a part (WCAG 2.2, 3.1.2).
    """
    found = catalogue(language).gettext(sentence) if sentence else ""
    if language == ENGLISH or found != sentence:
        return Markup("{}").format(found)
    return Markup('<span lang="en">{}</span>').format(sentence)


def size(octets: int | None) -> str:
    """Return a size for people, such as ``1.5 GB``."""
    if octets is None:
        return "–"
    value = float(octets)
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:
            break
        value /= 1000
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:.0f} {unit}"


def amount(octets: int | None) -> str:
    """Return a size for a field, which `WebForm.size` reads again without loss."""
    if octets is None:
        return ""
    for power in (4, 3, 2, 1):
        if octets and octets % 1000**power == 0:
            return f"{octets // 1000**power} {_UNITS[power]}"
    return str(octets)


def detail(value: Any) -> str:
    """Return a value of an entry of the audit log, or of a filter, as text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)


def last_day(end: int | None) -> str:
    """Return the last day before a time, for a field of `WebForm.last_moment`."""
    return "" if end is None else day(end - 1)


def moment(seconds: float | None) -> str:
    """Return a time in UTC, such as ``2026-11-26 14:05 UTC``."""
    return "–" if seconds is None else f"{_utc(seconds):%Y-%m-%d %H:%M} UTC"


def instant(seconds: float) -> str:
    """Return a time in UTC to the second, such as ``2026-11-26 14:05:09 UTC``."""
    return f"{_utc(seconds):%Y-%m-%d %H:%M:%S} UTC"


def day(seconds: int | None) -> str:
    """Return a day in UTC, such as ``2026-11-26``."""
    return "–" if seconds is None else f"{_utc(seconds):%Y-%m-%d}"


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(min(int(seconds), 253_402_300_799), UTC)


def render(language: str, template: str, values: dict[str, Any]) -> str:
    """Return a page."""
    return environment(language).get_template(template).render(values)
