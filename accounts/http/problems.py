"""Errors of the API in the form of RFC 9457, `application/problem+json`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

from starlette.responses import Response

from accounts.lookup.ask import Unavailable as SourceUnavailable
from accounts.passwords import Busy
from accounts.store.errors import (
    AlreadyThere,
    Conflict,
    DatastoreError,
    Invalid,
    NoSuchObject,
)
from accounts.store.seal import SealError
from gatepost.printable import escape

MEDIA_TYPE = "application/problem+json"
RETRY = 5
"""Seconds after which a client may try again if the database is away."""
MAX_TEXT = 700
"""Characters of a sentence in an error, which may contain text from the client."""
MAX_ERRORS = 50
"""Maximum number of fields in one error."""


class WrongField(NamedTuple):
    """An invalid field, and a sentence about it."""

    field: str
    text: str


class ApiProblem(Exception):  # noqa: N818  # the name that RFC 9457 gives it
    """An error answer. `detail` is a sentence for people."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        errors: Sequence[WrongField] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    @property
    def sentence(self) -> str:
        """The sentence for an answer, of bounded length and without control characters."""
        return escape(self.detail[:MAX_TEXT])

    def response(self) -> Response:
        """Return the error as an HTTP response."""
        return problem_response(self.status, self.detail, self.errors, self.headers)


def problem_response(
    status: HTTPStatus,
    detail: str,
    errors: Sequence[WrongField] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an answer with the members of RFC 9457 section 3.1; its type is about:blank."""
    body: dict[str, object] = {
        # RFC 9457 section 4.2.1: it adds nothing to the status, whose phrase is the title
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": escape(detail[:MAX_TEXT]),
    }
    if errors:
        body["errors"] = [
            {"field": escape(one.field[:200]), "text": escape(one.text[:MAX_TEXT])}
            for one in errors[:MAX_ERRORS]
        ]
    return Response(
        json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"),
        status_code=status.value,
        headers=dict(headers or {}),
        media_type=MEDIA_TYPE,
    )


def too_many(detail: str, seconds: float) -> ApiProblem:
    """Return the error for a client that sends too many requests (RFC 6585 section 4)."""
    headers = {"Retry-After": str(max(1, math.ceil(seconds)))}
    return ApiProblem(HTTPStatus.TOO_MANY_REQUESTS, detail, headers=headers)


def unavailable(detail: str, seconds: int = RETRY) -> ApiProblem:
    """Return the error for a temporary failure."""
    return ApiProblem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": str(seconds)})


def of_store(error: DatastoreError | SourceUnavailable | Busy) -> ApiProblem:
    """Return the API's error for an error of the datastore or of passwords."""
    match error:
        case Invalid():
            return ApiProblem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                str(error),
                errors=[WrongField(error.field, error.text)],
            )
        case NoSuchObject():
            return ApiProblem(HTTPStatus.NOT_FOUND, str(error))
        case AlreadyThere() | Conflict():
            return ApiProblem(HTTPStatus.CONFLICT, str(error))
        case SealError():
            # the sentence is for the administrator of this host, not for a client
            return ApiProblem(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "The service cannot encrypt or decrypt secrets; its log says why.",
            )
        case Busy():
            return unavailable("Too many logins wait to be checked. Try again.", 1)
        case _:
            return unavailable("The database does not answer. Try again.")
