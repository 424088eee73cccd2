"""Rules for arriving mail as they are stored: nothing is written that would not become Sieve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accounts.address import Address
from accounts.directory import sieve_rules
from accounts.directory.sieve_rules import SieveRule, SieveRuleFields
from accounts.sieve import RuleError, compile_stored, parse_rule
from accounts.sieve.rule import Rule
from accounts.store.errors import Invalid
from accounts.store.transaction import Write


def add(write: Write, mailbox: str | Address, data: Mapping[str, Any]) -> SieveRule:
    """Add a rule, as `accounts.sieve.parse_rule` reads it, behind the others.

    Raises `Invalid` for one that cannot be read or does not go with the others.
    """
    with write.attempt("rule.add", mailbox):
        rule = _read(data)
        made = sieve_rules.add(write, mailbox, rule.name, rule=rule.body(), enabled=rule.enabled)
        _insist_on_script(write, made)
        return made


def change(
    write: Write,
    mailbox: str | Address,
    name: str,
    version: int | None,
    /,
    *,
    data: Mapping[str, Any] | None = None,
    enabled: bool | None = None,
) -> SieveRule:
    """Put another rule in the place of one, or switch it on or off; raises as `add`."""
    with write.attempt("rule.change", mailbox):
        values = SieveRuleFields()
        if data is not None:
            rule = _read(data)
            values = SieveRuleFields(name=rule.name, enabled=rule.enabled, rule=rule.body())
        if enabled is not None:
            values["enabled"] = enabled
        made = sieve_rules.change(write, mailbox, name, version, **values)
        _insist_on_script(write, made)
        return made


def as_rule(stored: SieveRule) -> dict[str, Any]:
    """Return a stored rule as `add` takes it."""
    body = stored.rule if isinstance(stored.rule, dict) else {}
    return {"name": stored.name, "enabled": stored.enabled} | body


def _read(data: Any) -> Rule:
    if not isinstance(data, Mapping):
        raise Invalid("rule", "It is an object.")
    try:
        return parse_rule(data)
    except RuleError as error:
        raise Invalid(f"rule.{error.field}" if error.field else "rule", error.text) from None


def _insist_on_script(write: Write, made: SieveRule) -> None:
    """Raise `Invalid` if a rule that counts has no place in the script of all.

    A rule that was stored otherwise and cannot be read is no reason to refuse another one.
    """
    compiled = compile_stored(sieve_rules.find(write.connection, made.mailbox))
    for problem in compiled.problems:
        if problem.rule == made.name and made.enabled:
            raise Invalid("rule", problem.text)
