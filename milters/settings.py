"""The section `[milters]` of gatepost.toml."""

from __future__ import annotations

from pydantic import Field

from gatepost.config import ListenAddress
from gatepost.listen import Inet
from milters.keys.settings import KeySettings


class MiltersSettings(KeySettings):
    """The milter behind `smtpd_milters`."""

    listen: ListenAddress = Field(
        default=Inet("127.0.0.1", 8891),
        description="Where Postfix reaches the milter: what `smtpd_milters` names.",
    )
    metrics_listen: ListenAddress | None = Field(
        default=Inet("127.0.0.1", 9101),
        description="Where `/metrics`, `/healthz` and `/readyz` are served.",
    )
