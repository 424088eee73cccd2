"""Options of `user` and `domain` about spam: preferences and listed senders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from accounts.cli.executor import OperationStep
from accounts.cli.options import Field
from accounts.cli.session import CommandSession
from accounts.cli.values import NONE, list_text
from accounts.http.models.base import RequestModel

LISTS = (
    Field(
        "allow_sender",
        click.STRING,
        "A sender to accept without the spam filter, if DMARC passes.",
        True,
        "ADDRESS|@DOMAIN",
    ),
    Field(
        "block_sender", click.STRING, "A sender whose mail goes to Junk.", True, "ADDRESS|@DOMAIN"
    ),
    Field(
        "unlist_sender", click.STRING, "A sender to take off both lists.", True, "ADDRESS|@DOMAIN"
    ),
)


class RuleScoreParameter(click.ParamType):  # type: ignore[type-arg]  # click before 8.5 has none
    """Parameter of a rule with its score, or of the word that removes all."""

    name = "RULE=SCORE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the rule and its score, or `NONE`."""
        if not isinstance(value, str) or value == NONE:
            return value
        rule, _, score = value.partition("=")
        try:
            return rule.strip(), float(score)
        except ValueError:
            self.fail(f"{value[:80]!r} is not RULE=SCORE", param, ctx)


def wishes_of(model: type[RequestModel], fields: Sequence[Field]) -> tuple[Field, ...]:
    """Return the fields of the preferences, with the form in which rules are written."""
    text = str(model.model_fields["rule_scores"].description)
    text = f"{text.partition(';')[0]}; may be repeated, and replaces all. {NONE} removes all."
    rules = Field("rule_scores", RuleScoreParameter(), text, True, "RULE=SCORE")
    return tuple(rules if one.name == "rule_scores" else one for one in fields)


def wished(changes: Mapping[str, Any], fields: Sequence[Field]) -> dict[str, Any]:
    """Return the given preferences as the API takes them."""
    found = {field.name: changes[field.name] for field in fields if field.name in changes}
    if "rule_scores" in found:
        if NONE in found["rule_scores"]:
            raise click.UsageError(f"--rule-scores: {NONE} stands alone")
        found["rule_scores"] = dict(found["rule_scores"])
    return found


def list_steps(
    session: CommandSession, where: Mapping[str, str], changes: Mapping[str, Any], noun: str
) -> Iterator[OperationStep]:
    """Yield the steps that change the listed senders of an owner; `noun` is that of the kind."""
    for kind in ("allow", "block"):
        for sender in changes.get(f"{kind}_sender", ()):
            yield OperationStep(f"add-{noun}", dict(where), {"kind": kind, "pattern": sender})
    if others := changes.get("unlist_sender", ()):
        (found,) = session.do(OperationStep(f"list-{noun}s", dict(where)))
        listed = {one["pattern"]: one["kind"] for one in found.body["items"]}
        for sender in others:
            kind = listed.get(sender.lower(), "allow")
            yield OperationStep(f"remove-{noun}", {**where, "kind": kind, "pattern": sender})


def pairs_of(wanted: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the preferences that mailboxes and domains have, for people."""
    yield "junk score", score_text(wanted["spam_junk_score"])
    yield "languages", ", ".join(wanted["languages"]) or "default"
    tag = wanted["subject_tag"]
    yield "subject tag", "default" if tag is None else (tag or NONE)
    scores = wanted["rule_scores"].items()
    yield "scores of rules", list_text([f"{rule}={score:g}" for rule, score in scores])


def score_text(score: float | None) -> str:
    """Return a score, or the word for one that is not set."""
    return "default" if score is None else f"{score:g}"


def patterns(listed: Sequence[Mapping[str, Any]], kind: str) -> list[str]:
    """Return the senders of one kind."""
    return [one["pattern"] for one in listed if one["kind"] == kind]
