"""The policy for a message, by its findings: a table, and three overriding rules.

The table has an action for each outcome of each method; the strictest one wins. The rules:

* SPF and DKIM only count if DMARC has not decided: a DMARC pass overrides both, and while DMARC
might still pass (temperror) a reject is softened to defer.
* A DMARC failure, or the temperror in its place while DNS does not answer, is ignored if a trusted
ARC sealer saw the message pass; that overrides SPF and DKIM as well, which a forwarder or list
breaks just the same.
* `pass` is always accepted; outcomes the table does not name are accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from gatepost.reply import Reply
from milters.policy_settings import PolicyAction, PolicySettings

PolicyTable: TypeAlias = Mapping[tuple[str, str], PolicyAction]
"""An action by method and outcome, as ``("dmarc", "fail_reject")``."""

METHODS: Final = ("dmarc", "spf", "dkim", "arc", "iprev")
"""The order of precedence among equally strict reasons."""

SEVERITY: Final[Mapping[PolicyAction, int]] = {
    "accept": 0,
    "tag": 1,
    "quarantine": 2,
    "defer": 3,
    "reject": 4,
}

# RFC 9989 section 7.4: without other knowledge p=reject is treated as p=quarantine. A message
# without exactly one author domain cannot be a genuine one that DMARC would lose. A sender can
# choose names for which DNS does not answer, so a temperror must not be better than a failure
# (section 5.3.6 leaves it to the receiver).
_DEFAULT: PolicyTable = {
    ("dmarc", "fail_quarantine"): "quarantine",
    ("dmarc", "fail_reject"): "quarantine",
    ("dmarc", "temperror_quarantine"): "quarantine",
    ("dmarc", "temperror_reject"): "quarantine",
    ("dmarc", "permerror"): "quarantine",
}

_STRICT: PolicyTable = {
    ("dmarc", "fail_quarantine"): "quarantine",
    ("dmarc", "fail_reject"): "reject",
    ("dmarc", "permerror"): "reject",
    ("dmarc", "temperror"): "defer",
    ("dmarc", "temperror_quarantine"): "defer",
    ("dmarc", "temperror_reject"): "defer",
    ("spf", "fail"): "reject",
    ("spf", "temperror"): "defer",
}

PRESETS: Mapping[str, PolicyTable] = {"default": _DEFAULT, "strict": _STRICT, "report": {}}


@dataclass(frozen=True, slots=True)
class Disposition:
    """The action for a message, and its reason.

    `reason` is the reason id, empty if there was no objection. `overlooked` is the reason id of a
    finding that one of the rules ignored.
    """

    action: PolicyAction
    reason: str = ""
    overlooked: str = ""


def table(settings: PolicySettings) -> PolicyTable:
    """Return the preset with the changes of the configuration."""
    actions = dict(PRESETS[settings.preset])
    if settings.dmarc.temperror is not None:
        # the action without a known policy is the minimum with one
        for outcome in ("temperror_quarantine", "temperror_reject"):
            preset = actions.get(("dmarc", outcome), "accept")
            actions["dmarc", outcome] = max(
                preset, settings.dmarc.temperror, key=SEVERITY.__getitem__
            )
    for method in METHODS:
        section = getattr(settings, method)
        for outcome in type(section).model_fields:
            if (action := getattr(section, outcome)) is not None:
                actions[method, outcome] = action
    # both mean that the signature is ignored
    actions.setdefault(("dkim", "second_field"), actions.get(("dkim", "policy"), "accept"))
    return actions


def decide(outcomes: Mapping[str, str], actions: PolicyTable, *, vouched: bool) -> Disposition:
    """Return the disposition for the outcomes of the methods that ran.

    `outcomes` maps a method to its status; a DMARC failure to ``fail_none``, ``fail_quarantine`` or
    ``fail_reject``, and a temperror with a known policy to ``temperror_quarantine`` or
    ``temperror_reject``. `vouched` says that a trusted ARC sealer saw the message pass.
    """
    worst = Disposition("accept")
    overlooked = ""
    dmarc = outcomes.get("dmarc", "")
    for method in METHODS:
        outcome = outcomes.get(method, "")
        action = actions.get((method, outcome), "accept")
        if action == "accept":
            continue
        reason = reason_id(method, outcome)
        if vouched and method == "dmarc" and outcome.startswith(("fail", "temperror_")):
            # RFC 8617 section 7.2.1
            overlooked = overlooked or reason
            continue
        if method in ("spf", "dkim"):
            if vouched or dmarc == "pass":
                # RFC 9989 section 7.1: SPF alone says nothing against mail that DMARC passes
                overlooked = overlooked or reason
                continue
            if dmarc.startswith("temperror") and action == "reject":
                action = "defer"
        if SEVERITY[action] > SEVERITY[worst.action]:
            worst = Disposition(action, reason)
    return Disposition(worst.action, worst.reason, overlooked)


def reason_id(method: str, outcome: str) -> str:
    """Return the id for log, metrics and reply, such as ``dmarc-fail-reject``."""
    return f"{method}-{outcome}".replace("_", "-")


# RFC 7372 sections 3.1 to 3.3: enhanced codes for failed authentication. DMARC has none of its
# own; RFC 9989 section 7.2 shows 5.7.1.
_ENHANCED: Mapping[str, str] = {
    "dmarc": "7.1",
    "spf": "7.23",
    "dkim": "7.20",
    "arc": "7.29",
    "iprev": "7.25",
}


def reply(disposition: Disposition, domain: str) -> Reply:
    """Return the SMTP reply for ``defer`` and ``reject``; `domain` is the author's, or empty."""
    method, _, outcome = disposition.reason.partition("-")
    enhanced = _ENHANCED.get(method, "7.1")
    if disposition.action == "defer":
        text = f"{method.upper()} could not be evaluated now, please try again later"
        return Reply(451, f"4.{enhanced}", text, disposition.reason)
    if method == "dmarc" and outcome.startswith("fail"):
        text = f"rejected by the DMARC policy of {domain}"
    elif method == "dmarc" and outcome == "permerror":
        text = "the message has no valid From header field with a single author domain"
    else:
        text = f"the {method.upper()} check ended with {outcome}"
    return Reply(550, f"5.{enhanced}", text, disposition.reason)
