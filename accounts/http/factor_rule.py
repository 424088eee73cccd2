"""Rule who has to have a second factor."""

from __future__ import annotations

from enum import StrEnum

from accounts.http.principals import Principal, Role


class FactorRule(StrEnum):
    """The rule: nobody has to, administrators have to, or everyone."""

    OPTIONAL = "optional"
    ADMINISTRATORS = "administrators"
    EVERYONE = "everyone"

    def binds(self, principal: Principal) -> bool:
        """Return whether somebody has to have a second factor."""
        if self is FactorRule.EVERYONE:
            return True
        return self is FactorRule.ADMINISTRATORS and principal.role is not Role.MAILBOX
