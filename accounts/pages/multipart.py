"""Forms with a file, as browsers send them: multipart/form-data (RFC 7578)."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

from accounts.http.problems import ApiProblem
from accounts.pages.form import MAX_FIELDS, WebForm

MAX_HEADER: Final = 300
"""Characters of the field Content-Type."""

# RFC 2046 section 5.1.1, without the characters that no browser uses
_BOUNDARY = re.compile(
    r'multipart/form-data\s*;\s*boundary="?([A-Za-z0-9_.=?+/-]{1,70})"?\s*\Z', re.I
)
_NAME = re.compile(rb'content-disposition:\s*form-data\s*;\s*name="([^"\r\n]{1,100})"', re.I)


def read_multipart(header: str, octets: bytes) -> WebForm:
    """Read a form of at most `MAX_FIELDS` parts, which are text in UTF-8; raises `ApiProblem`.

    A file is a field with its content; its name does not matter.
    """
    found = _BOUNDARY.match(header[:MAX_HEADER])
    if found is None:
        raise _unreadable()
    delimiter = b"\r\n--" + found[1].encode()
    before, *parts = (b"\r\n" + octets).split(delimiter, MAX_FIELDS + 1)
    # RFC 2046 section 5.1.1: the last delimiter has two hyphens behind it
    if before or not parts or parts[-1].rstrip(b"\r\n") != b"--" or len(parts) > MAX_FIELDS:
        raise _unreadable()
    fields: dict[str, list[str]] = {}
    for part in parts[:-1]:
        head, empty, content = part.partition(b"\r\n\r\n")
        named = _NAME.search(head)
        if not head.startswith(b"\r\n") or not empty or named is None:
            raise _unreadable()
        try:
            name = named[1].decode()
            # what spreadsheets put before UTF-8
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ApiProblem(
                HTTPStatus.UNPROCESSABLE_ENTITY, "The file is not text in UTF-8."
            ) from None
        fields.setdefault(name, []).append(text.replace("\r\n", "\n"))
    return WebForm(fields)


def _unreadable() -> ApiProblem:
    return ApiProblem(HTTPStatus.BAD_REQUEST, "The form cannot be read.")
