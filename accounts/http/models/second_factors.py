"""Models of second factors."""

from __future__ import annotations

from pydantic import Field

from accounts.http.models.base import ResponseModel, TimeField


class SecondFactorOut(ResponseModel):
    """A second factor of an account, without its secret."""

    kind: str = Field(description="app or passkey.")
    name: str
    created: TimeField
    last_used: TimeField | None
