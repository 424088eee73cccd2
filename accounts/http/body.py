"""Body of a request, from octets to a model, bounded in size, depth and number of values."""

from __future__ import annotations

import json
import math
import re
from http import HTTPStatus
from typing import Any, NoReturn, TypeVar

from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request

from accounts.http.models.base import RequestModel
from accounts.http.problems import ApiProblem, WrongField

MAX_DEPTH = 40
"""Levels of a JSON text; a filter, the deepest input, has up to 32."""
MAX_VALUES = 25_000
"""Approximate number of values of a JSON text, from its strings, commas and brackets. The longest
list, the domains of an administrator, has 10,000."""
MAX_DISCARDED = 16 << 20
"""Octets of an oversized body that are read and dropped, so that a client that does not read before
it has sent everything sees the answer."""
MAX_FIELD = 100
"""Characters of the name of a field in an error; the client may have invented it."""

# the end of a string may be missing: never search for it twice
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[,\[{\]}]', re.DOTALL)
_TYPES = ("application/json", "application/merge-patch+json")

M = TypeVar("M", bound=RequestModel)


async def read(request: Request, limit: int) -> bytes:
    """Return the octets of a body; raises `ApiProblem` if there are more than `limit`."""
    announced = request.headers.get("content-length", "")
    is_large = announced.isdigit() and int(announced) > limit
    # a client that waits for "100 Continue" (RFC 9110 section 10.1.1) sends nothing yet
    if is_large and request.headers.get("expect", "").lower() == "100-continue":
        raise _too_large(limit)
    received, size = [], 0
    try:
        async for portion in request.stream():
            size += len(portion)
            if size > MAX_DISCARDED:
                break
            if size <= limit:
                received.append(portion)
    except ClientDisconnect:
        raise ApiProblem(HTTPStatus.BAD_REQUEST, "The request ended before its body did.") from None
    if is_large or size > limit:
        raise _too_large(limit)
    return b"".join(received)


def check_type(request: Request) -> None:
    """Raise `ApiProblem` unless the body is JSON by its media type.

    No HTML form sends that type, so no page of another site can use a login that the browser
    remembers.
    """
    media, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.strip().lower().replace('"', "")
    if media.strip().lower() not in _TYPES or charset not in ("", "charset=utf-8"):
        raise ApiProblem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body has to be of the type application/json."
        )


def written(value: object) -> bytes:
    """Return a value as JSON text, with NaN and infinity, which `parse` refuses."""
    return json.dumps(value).encode()


def parse(octets: bytes) -> Any:
    """Return the value of a JSON text (RFC 8259); raises `ApiProblem`."""
    depth = deepest = 0
    for count, token in enumerate(_TOKENS.finditer(octets)):
        first = octets[token.start()]
        if first in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif first in b"]}":
            depth -= 1
        if deepest > MAX_DEPTH:
            raise _bad(f"The JSON text has more than {MAX_DEPTH} levels.")
        if count > MAX_VALUES:
            raise _bad(f"The JSON text has more than {MAX_VALUES} values.")
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        raise _bad("The body is not UTF-8 text.") from None
    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise _bad(f"The body is not JSON: {error.msg} at {place}.") from None
    except (ValueError, RecursionError):  # a number of thousands of digits
        raise _bad("The body has a number that is too long.") from None


def validate(model: type[M], value: Any, *, strict: bool = True) -> M:
    """Return a value as a model; raises `ApiProblem` that names each wrong field."""
    try:
        return model.model_validate(value, strict=strict)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        errors = [
            WrongField(
                ".".join(str(part) for part in one["loc"])[:MAX_FIELD] or "body",
                _SAID.get(one["type"]) or f"{one['msg']}.",
            )
            for one in found
        ]
        first = errors[0]
        raise ApiProblem(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"{first.field}: {first.text}", errors=errors
        ) from None


_SAID = {
    "extra_forbidden": "There is no such field.",
    "missing": "It is required.",
    "string_type": "It must be text.",
    "bool_type": "It must be either true or false.",
    "int_type": "It must be a whole number.",
    "list_type": "It must be a list.",
    "too_long": "It has too many members.",
    "model_type": "It must be an object.",
    "dict_type": "It must be an object.",
}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        # RFC 8259 section 4: how other software reads a duplicate name is unpredictable
        raise _bad("An object in the body has the same name twice.")
    return made


def _constant(name: str) -> NoReturn:
    raise _bad(f"{name} is not a number in JSON.")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _bad("The body has a number that is too large.")
    return number


def _bad(detail: str) -> ApiProblem:
    return ApiProblem(HTTPStatus.BAD_REQUEST, detail)


def _too_large(limit: int) -> ApiProblem:
    return ApiProblem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"The body has more than {limit} octets.",
        headers={"Connection": "close"},
    )
