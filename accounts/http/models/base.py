"""Base of all models."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from accounts.directory.paging import PAGE

MAX_LIMIT = 500
"""Maximum number of objects of a page."""

TimeField: TypeAlias = Annotated[int, Field(description="Seconds since the epoch.")]
OctetField: TypeAlias = Annotated[int, Field(description="Octets.")]
HasPassword: TypeAlias = Annotated[
    bool,
    BeforeValidator(lambda stored: stored is not None),
    Field(validation_alias="password", description="Whether there is a password to log in with."),
]
"""Derived from the hash of a password, which never leaves the service."""


def _without_defaults(schema: dict[str, Any]) -> None:
    """Remove the defaults from a schema: an omitted field keeps its value."""
    for described in schema.get("properties", {}).values():
        described.pop("default", None)


class RequestModel(BaseModel):
    """A body or the parameters of a query. Unknown fields are refused.

    An optional field has the default `UNSET`, which is never used: operations look at the given
    fields. `accounts.directory` checks all values again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_without_defaults)


class ResponseModel(BaseModel):
    """An answer, with the named fields of an object of the directory."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


UNSET: Any = None
"""The default of an optional field."""


class PageQuery(RequestModel):
    """A page of a list."""

    after: str | None = Field(
        default=UNSET, description="The key of the last object of the previous page."
    )
    limit: int = Field(
        default=PAGE, ge=1, le=MAX_LIMIT, description=f"Objects of the page, {PAGE} if not given."
    )


class NumberedPageQuery(RequestModel):
    """A page of a list whose keys are numbers."""

    after: int | None = Field(
        default=UNSET, ge=0, description="The id of the last object of the previous page."
    )
    limit: int = Field(
        default=PAGE, ge=1, le=MAX_LIMIT, description=f"Objects of the page, {PAGE} if not given."
    )


class NoQuery(RequestModel):
    """No parameters."""
