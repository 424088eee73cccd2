"""A rule as the pages and the API make it, and as the datastore holds it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field, ValidationError, model_validator

from accounts.sieve.actions import Discard, Keep, Redirect, Reject, RuleAction, Stop, Vacation
from accounts.sieve.conditions import Condition
from accounts.sieve.fields import RuleName
from accounts.sieve.part import RulePart

MAX_REDIRECTS = 4
"""Maximum number of redirects of a rule; Pigeonhole allows as many for a message."""

_PREFIX = "Value error, "


class RuleError(ValueError):
    """A rule cannot be used; the message is one sentence.

    `field` is the place in the rule, such as ``actions.0.mailbox``; empty for the rule as a whole.
    """

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}" if field else text)
        self.field = field
        self.text = text


class MailRule(RulePart):
    """A rule: when `match` of its conditions are true, its actions are done.

    ``always`` goes with no condition, and the others with at least one, so that a rule that has
    lost its conditions never applies to all mail.
    """

    name: RuleName
    enabled: bool = True
    match: Literal["all", "any", "always"] = "all"
    conditions: Annotated[tuple[Condition, ...], Field(max_length=20)] = ()
    actions: Annotated[tuple[RuleAction, ...], Field(min_length=1, max_length=10)]

    @model_validator(mode="after")
    def _consistent(self) -> MailRule:
        if (self.match == "always") == bool(self.conditions):
            raise ValueError("A rule has conditions, or applies always.")
        kinds = [type(action) for action in self.actions]
        if any(kinds.count(kind) > 1 for kind in (Keep, Discard, Reject, Vacation, Stop)):
            raise ValueError("An action is there twice.")
        if Keep in kinds and Discard in kinds:
            raise ValueError("A rule cannot both keep and discard a message.")
        # RFC 5429 section 2.4: reject does not go with actions that store, send on or answer
        if Reject in kinds and set(kinds) - {Reject, Stop}:
            raise ValueError("A rule that rejects a message does nothing else with it.")
        if kinds.count(Redirect) > MAX_REDIRECTS:
            raise ValueError(f"A rule sends a message to at most {MAX_REDIRECTS} addresses.")
        return self

    @property
    def answers(self) -> bool:
        """Return whether the rule is enabled and has a vacation."""
        return self.enabled and any(isinstance(action, Vacation) for action in self.actions)

    def as_data(self) -> dict[str, Any]:
        """Return the rule as JSON holds it; `parse_rule` reads it again without loss."""
        return self.model_dump(mode="json", by_alias=True)

    def body(self) -> dict[str, Any]:
        """Return the rule as the datastore holds it beside its name and whether it is enabled."""
        return self.model_dump(mode="json", by_alias=True, exclude={"name", "enabled"})


class StoredRule(Protocol):
    """A rule as the datastore holds it; `rule` is JSON of any kind, meant to be a `Rule.body`."""

    @property
    def name(self) -> str:
        """The name, which the mailbox has once."""

    @property
    def enabled(self) -> bool:
        """Return whether the rule is in force."""

    @property
    def rule(self) -> Any:
        """The rest of it."""


def parse_rule(data: Mapping[str, Any]) -> MailRule:
    """Read a rule from data as JSON has it. Raises `RuleError`, for any input."""
    try:
        text = json.dumps(data)
    except (RecursionError, TypeError, ValueError):
        raise RuleError("", "The rule is not JSON.") from None
    return parse_rule_text(text)


def read_stored(stored: StoredRule) -> MailRule:
    """Read a rule out of the datastore. Raises `RuleError`, whatever is there."""
    body = stored.rule
    if not isinstance(body, dict) or not body.keys().isdisjoint(("name", "enabled")):
        raise RuleError("", "The rule is not stored as this version does it.")
    return parse_rule({**body, "name": stored.name, "enabled": stored.enabled})


def parse_rule_text(text: str | bytes) -> MailRule:
    """Read a rule from JSON text. Raises `RuleError`, for any input."""
    try:
        return MailRule.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        message = first["msg"].removeprefix(_PREFIX)
        raise RuleError(_place(first["loc"]), message.rstrip(".") + ".") from None


def _place(location: tuple[int | str, ...]) -> str:
    # pydantic adds the kind behind the number of a condition or action
    kept = [
        str(word)
        for before, word in zip((None, *location), location, strict=False)
        if not (isinstance(before, int) and isinstance(word, str))
    ]
    return ".".join(kept)
