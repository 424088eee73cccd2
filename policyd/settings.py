"""The section `[policyd]` of gatepost.toml."""

from __future__ import annotations

from pydantic import Field

from gatepost.config import ListenAddress, Section
from gatepost.listen import Inet


class PolicydSettings(Section):
    """The policy server behind `check_policy_service`."""

    listen: ListenAddress = Field(
        default=Inet("127.0.0.1", 10023),
        description="Where Postfix reaches the policy server: what `check_policy_service` names.",
    )
    metrics_listen: ListenAddress | None = Field(
        default=Inet("127.0.0.1", 9102),
        description="Where `/metrics`, `/healthz` and `/readyz` are served.",
    )
