"""The ground of all models."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from accounts.directory.paging import PAGE

MAX_LIMIT = 500
"""Objects of a page."""

TimeField: TypeAlias = Annotated[int, Field(description="Seconds since the epoch.")]
OctetField: TypeAlias = Annotated[int, Field(description="Octets.")]
HasPassword: TypeAlias = Annotated[
    bool,
    BeforeValidator(lambda stored: stored is not None),
    Field(validation_alias="password", description="Whether there is a password to log in with."),
]
"""Read from the hash of a password, of which nothing else leaves the service."""


def _without_defaults(schema: dict[str, Any]) -> None:
    """Take the defaults out of a schema: a field that is not given stays as it is."""
    for described in schema.get("properties", {}).values():
        described.pop("default", None)


class RequestModel(BaseModel):
    """A body or the parameters of a query. Fields that are not known are refused.

    A field that may be left out has the default `UNSET`, which is never used: operations look at
    the fields that were given. All values are checked again by `accounts.directory`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_without_defaults)


class ResponseModel(BaseModel):
    """An answer, read from an object of the directory: fields that it does not name stay there."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


UNSET: Any = None
"""The default of a field that may be left out."""


class PageQuery(RequestModel):
    """The part of a list."""

    after: str | None = Field(
        default=UNSET, description="The key of the last object of the page before."
    )
    limit: int = Field(
        default=PAGE, ge=1, le=MAX_LIMIT, description=f"Objects of the page, {PAGE} if not given."
    )


class NumberedPageQuery(RequestModel):
    """The part of a list whose keys are numbers."""

    after: int | None = Field(
        default=UNSET, ge=0, description="The id of the last object of the page before."
    )
    limit: int = Field(
        default=PAGE, ge=1, le=MAX_LIMIT, description=f"Objects of the page, {PAGE} if not given."
    )


class NoQuery(RequestModel):
    """No parameters."""
