"""Values of SQL as dumps write them: literals, and the few functions that dump programs use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from accounts.exchange.tables import CellValue

Dialect: TypeAlias = Literal["mysql", "postgresql", "sqlite"]

DEEPEST_CALL = 30
"""Calls within each other; `.dump` of sqlite3 writes replace(replace('…',…),…)."""

_MYSQL = {
    "0": "\0",
    "b": "\b",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "Z": "\x1a",
    "%": "\\%",
    "_": "\\_",
}
_POSTGRESQL = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_LONG_ESCAPE = re.compile(
    r"\\(?:x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([0-7]{1,3})|(.))", re.DOTALL
)
_UNISTR = re.compile(
    r"\\(?:([0-9A-Fa-f]{4})|\+([0-9A-Fa-f]{6})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(\\))"
)

_STRING = {
    True: r"'((?:[^'\\]++|\\.|'')*+)'",  # with backslashes
    False: r"'((?:[^']++|'')*+)'",
}
_REST = r"|(NULL)\b|([-+]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][-+]?[0-9]++)?)"
_FAST = {
    with_backslash: re.compile(rf"\s*+(?:{string}{_REST})\s*+([,)])", re.DOTALL | re.IGNORECASE)
    for with_backslash, string in _STRING.items()
}
_QUOTED = {
    with_backslash: re.compile(rf"\s*+{string}", re.DOTALL)
    for with_backslash, string in _STRING.items()
}
_DOUBLE_QUOTED = re.compile(r'\s*+"((?:[^"\\]++|\\.|"")*+)"', re.DOTALL)
_NUMBER = re.compile(
    r"\s*+([-+]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][-+]?[0-9]++)?)(?![\w.])"
)
_HEX = re.compile(r"\s*+(?:0x([0-9A-Fa-f]++)|[xX]'([0-9A-Fa-f]*+)')")
_INTRODUCER = re.compile(r"\s*+(?:_[A-Za-z0-9]++|[nN](?='))")
_ESCAPED = re.compile(r"\s*+[eE](?=')")
_WORD = re.compile(r"\s*+([A-Za-z_][A-Za-z0-9_.]*+)")
_OPEN = re.compile(r"\s*+\(")
_CLOSE = re.compile(r"\s*+\)")
_CAST = re.compile(r"\s*+::\s*+[A-Za-z_][\w .]*+(?:\([0-9, ]*+\))?(?:\[\])?")
_END = re.compile(r"\s*+([,)])")


class ValueSyntaxError(ValueError):
    """The text at this place is not a value that occurs in dumps."""


@dataclass(frozen=True, slots=True)
class Values:
    """Reader of the values in parentheses, in the dialect of the dump."""

    dialect: Dialect

    def row(self, text: str, position: int, most: int) -> tuple[list[CellValue], int]:
        """Read the values after an opening parenthesis.

        Return the values and the position after the closing one. Raises `ValueSyntaxError` for
        other text and for more than `most` values.
        """
        backslash = self.dialect == "mysql"
        fast = _FAST[backslash]
        values: list[CellValue] = []
        while True:
            if match := fast.match(text, position):
                string, _, number, end = match.groups()
                if string is not None:
                    values.append(self._string(string))
                else:
                    values.append(None if number is None else _number(number))
            else:
                value, position = self._expression(text, position, 0)
                values.append(value)
                match = _END.match(text, position)
                if match is None:
                    raise ValueSyntaxError("expected a comma or a closing parenthesis")
                end = match[1]
            position = match.end()
            if end == ")":
                return values, position
            if len(values) >= most:
                raise ValueSyntaxError(f"a row has more than {most} values")

    def _string(self, raw: str) -> str:
        if "'" in raw:
            raw = raw.replace("''", "'")
        if self.dialect == "mysql" and "\\" in raw:
            raw = _ESCAPE.sub(lambda match: _MYSQL.get(match[1], match[1]), raw)
        return raw

    def _expression(self, text: str, position: int, depth: int) -> tuple[CellValue, int]:
        if depth > DEEPEST_CALL:
            raise ValueSyntaxError("calls are nested too deeply")
        value, position = self._simple(text, position, depth)
        while match := _CAST.match(text, position):
            position = match.end()
        return value, position

    def _simple(self, text: str, position: int, depth: int) -> tuple[CellValue, int]:
        if match := _ESCAPED.match(text, position):
            if match := _QUOTED[True].match(text, match.end()):
                return _long_escapes(match[1].replace("''", "'")), match.end()
            raise ValueSyntaxError("a string is not terminated")
        if match := _HEX.match(text, position):
            digits = match[1] or match[2] or ""
            if len(digits) % 2:
                raise ValueSyntaxError("a hexadecimal string has an odd number of digits")
            return bytes.fromhex(digits), match.end()
        if match := _INTRODUCER.match(text, position):
            position = match.end()
        if match := _QUOTED[self.dialect == "mysql"].match(text, position):
            return self._string(match[1]), match.end()
        if self.dialect == "mysql" and (match := _DOUBLE_QUOTED.match(text, position)):
            return self._string(match[1].replace('""', '"')), match.end()
        if match := _NUMBER.match(text, position):
            return _number(match[1]), match.end()
        if match := _WORD.match(text, position):
            return self._word(text, match[1].lower(), match.end(), depth)
        raise ValueSyntaxError("expected a value")

    def _word(self, text: str, word: str, position: int, depth: int) -> tuple[CellValue, int]:
        match = _OPEN.match(text, position)
        if match is None:
            return {"true": True, "false": False}.get(word), position
        position = match.end()
        arguments: list[CellValue] = []
        if match := _CLOSE.match(text, position):
            return _call(word, arguments), match.end()
        while True:
            value, position = self._expression(text, position, depth + 1)
            arguments.append(value)
            match = _END.match(text, position)
            if match is None or len(arguments) > DEEPEST_CALL:
                raise ValueSyntaxError("a call is not terminated")
            position = match.end()
            if match[1] == ")":
                return _call(word, arguments), position


def _number(text: str) -> int | float:
    try:
        return int(text) if len(text) < 40 else float(text)
    except ValueError:
        return float(text)


def _long_escapes(raw: str) -> str:
    """Return the text of PostgreSQL's E'…' or of a field of COPY."""

    def one(match: re.Match[str]) -> str:
        hexadecimal, short, long, octal, other = match.groups()
        if other is not None:
            return _POSTGRESQL.get(other, str(other))
        code = int(octal, 8) if octal else int(hexadecimal or short or long, 16)
        return chr(code) if code < 0x110000 else "\N{REPLACEMENT CHARACTER}"

    return _LONG_ESCAPE.sub(one, raw) if "\\" in raw else raw


def copied(raw: str) -> str | None:
    r"""Return a field of PostgreSQL's COPY in text format; `\N` is NULL."""
    return None if raw == "\\N" else _long_escapes(raw)


def _call(word: str, arguments: list[CellValue]) -> CellValue:
    """Return the value of a call that sqlite3 writes into dumps; NULL for others, as NOW()."""
    match word, arguments:
        case "replace", [str(text), str(old), str(new)] if (
            old and text.count(old) * len(new) < 1 << 24
        ):
            return text.replace(old, new)
        case "char", _:
            codes = [one for one in arguments if isinstance(one, int) and 0 <= one < 0x110000]
            return "".join(map(chr, codes))
        case "unistr", [str(text)]:
            return _UNISTR.sub(_unistr, text)
        case _:
            return None


def _unistr(match: re.Match[str]) -> str:
    if match[5]:
        return "\\"
    code = int(match[1] or match[2] or match[3] or match[4], 16)
    return chr(code) if code < 0x110000 else "\N{REPLACEMENT CHARACTER}"
