"""Several operations in one transaction."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from accounts.http.models.base import UNSET, RequestModel, ResponseModel

MAX_OPERATIONS = 200
"""Operations of a batch."""


class BatchPart(RequestModel):
    """One operation, with what a request of its own would have."""

    operation: str = Field(description="Its operationId.")
    params: dict[str, str] = Field(default={}, description="The parameters of its path.")
    query: dict[str, str | int | bool] = Field(default={}, description="Those of its query.")
    body: dict[str, Any] | None = Field(default=UNSET, description="Its body.")
    if_match: str | None = Field(default=UNSET, description="Its field If-Match.")


class BatchIn(RequestModel):
    """Operations that are done in their order, all of them or none."""

    operations: list[BatchPart] = Field(min_length=1, max_length=MAX_OPERATIONS)
    dry_run: bool = Field(default=False, description="Answer as if all were done, and undo it.")


class BatchReply(ResponseModel):
    """The answer to one operation."""

    status: int
    tag: str | None = Field(description="Its field ETag.")
    next: str | int | None = Field(description="The key that the next page of a list is behind.")
    body: Any
