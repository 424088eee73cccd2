"""Models of a batch: several operations in one transaction."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from accounts.http.models.base import UNSET, RequestModel, ResponseModel

MAX_OPERATIONS = 200
"""Operations of a batch."""


class BatchPart(RequestModel):
    """One operation, with the parts of a request."""

    operation: str = Field(description="Its operationId.")
    params: dict[str, str] = Field(default={}, description="The parameters of the path.")
    query: dict[str, str | int | bool] = Field(
        default={}, description="The parameters of the query."
    )
    body: dict[str, Any] | None = Field(default=UNSET, description="Its body.")
    if_match: str | None = Field(default=UNSET, description="The value of If-Match.")


class BatchIn(RequestModel):
    """Operations to do in this order, all or none."""

    operations: list[BatchPart] = Field(min_length=1, max_length=MAX_OPERATIONS)
    dry_run: bool = Field(default=False, description="Return the answers and roll back.")


class BatchReply(ResponseModel):
    """The answer to one operation."""

    status: int
    tag: str | None = Field(description="The value of ETag.")
    next: str | int | None = Field(
        description="The key after which the next page of a list begins."
    )
    body: Any
