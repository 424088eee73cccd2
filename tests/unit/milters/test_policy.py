"""The table of what is done, and the rules above it."""

import itertools
from collections.abc import Collection

import pytest

from gatepost.reply import Reply
from milters.policy import METHODS, PRESETS, SEVERITY, Disposition, decide, reply, table
from milters.policy_settings import PolicySettings
from msgauth.results import DkimStatus, IprevStatus, SpfStatus

DEFAULT = table(PolicySettings())
STRICT = table(PolicySettings(preset="strict"))

OUTCOMES = ("pass", "none", "neutral", "softfail", "fail", "policy", "temperror", "permerror")
TEMPORARY = ("temperror", "temperror_quarantine", "temperror_reject")
DMARC = ("pass", "none", "fail_none", "fail_quarantine", "fail_reject", *TEMPORARY, "permerror")


@pytest.mark.parametrize(
    ("outcomes", "default", "strict"),
    [
        ({}, "accept", "accept"),
        ({"dmarc": "pass", "spf": "fail", "dkim": "pass"}, "accept", "accept"),
        # RFC 9989 section 7.4
        ({"dmarc": "fail_reject"}, "quarantine", "reject"),
        ({"dmarc": "fail_quarantine"}, "quarantine", "quarantine"),
        ({"dmarc": "fail_none"}, "accept", "accept"),
        ({"dmarc": "permerror"}, "quarantine", "reject"),
        ({"dmarc": "none", "spf": "fail"}, "accept", "reject"),
        ({"dmarc": "temperror", "spf": "fail"}, "accept", "defer"),
        ({"dmarc": "temperror_quarantine"}, "quarantine", "defer"),
        ({"dmarc": "temperror_reject"}, "quarantine", "defer"),
        ({"dmarc": "temperror_reject", "spf": "fail"}, "quarantine", "defer"),
        ({"spf": "fail"}, "accept", "reject"),
        ({"dkim": "fail"}, "accept", "accept"),
    ],
)
def test_presets(outcomes: dict[str, str], default: str, strict: str) -> None:
    assert decide(outcomes, DEFAULT, vouched=False).action == default
    assert decide(outcomes, STRICT, vouched=False).action == strict


def test_report_never_does_anything() -> None:
    report = table(PolicySettings(preset="report"))
    for dmarc, spf in itertools.product(DMARC, OUTCOMES):
        assert decide({"dmarc": dmarc, "spf": spf}, report, vouched=False).action == "accept"


@pytest.mark.parametrize("preset", PRESETS)
def test_spf_and_dkim_alone_never_reject_while_dmarc_can_pass(preset: str) -> None:
    hard = PolicySettings.model_validate(
        {
            "preset": preset,
            "spf": {"fail": "reject", "softfail": "reject", "permerror": "reject"},
            "dkim": {"fail": "reject", "none": "reject", "permerror": "reject"},
        }
    )
    for spf, dkim in itertools.product(OUTCOMES, OUTCOMES):
        for dmarc in ("pass", *TEMPORARY):
            found = {"dmarc": dmarc, "spf": spf, "dkim": dkim}
            action = decide(found, table(hard), vouched=False).action
            assert SEVERITY[action] <= SEVERITY["accept" if dmarc == "pass" else "defer"]


def test_a_listed_sealer_counts_as_a_dmarc_pass_and_for_nothing_else() -> None:
    vouched = decide({"dmarc": "fail_reject"}, STRICT, vouched=True)
    assert vouched == Disposition("accept", "", "dmarc-fail-reject")
    # what stands for a failure while DNS does not answer is no more than one
    for outcome in TEMPORARY[1:]:
        assert decide({"dmarc": outcome, "spf": "fail"}, STRICT, vouched=True).action == "accept"
    # a forwarder fails SPF of the sender, and a list breaks the signature
    hard = table(PolicySettings.model_validate({"preset": "strict", "dkim": {"fail": "reject"}}))
    found = {"dmarc": "fail_reject", "spf": "fail", "dkim": "fail"}
    assert decide(found, hard, vouched=True) == Disposition("accept", "", "dmarc-fail-reject")
    assert decide(found, hard, vouched=False).action == "reject"
    other = table(PolicySettings.model_validate({"iprev": {"fail": "tag"}}))
    tagged = decide({"dmarc": "fail_reject", "iprev": "fail"}, other, vouched=True)
    assert (tagged.action, tagged.reason) == ("tag", "iprev-fail")


@pytest.mark.parametrize(
    ("method", "statuses"),
    [
        ("spf", set(SpfStatus) - {SpfStatus.POLICY}),  # no check of ours ends so
        ("dkim", set(DkimStatus)),
        ("iprev", set(IprevStatus)),
    ],
)
def test_every_result_but_pass_has_a_line_in_the_table(
    method: str, statuses: Collection[str]
) -> None:
    for status in set(statuses) - {"pass"}:
        settings = PolicySettings.model_validate({method: {str(status): "reject"}})
        assert decide({method: status}, table(settings), vouched=False).action == "reject"


def test_the_hardest_wins_and_names_its_reason() -> None:
    settings = PolicySettings.model_validate(
        {"iprev": {"fail": "reject"}, "dmarc": {"none": "tag"}, "arc": {"fail": "defer"}}
    )
    found = {"dmarc": "none", "arc": "fail", "iprev": "fail"}
    assert decide(found, table(settings), vouched=False) == Disposition("reject", "iprev-fail")


def test_a_setting_can_soften_a_preset() -> None:
    soft = table(PolicySettings.model_validate({"preset": "strict", "spf": {"fail": "accept"}}))
    assert decide({"spf": "fail"}, soft, vouched=False).action == "accept"


@pytest.mark.parametrize("method", METHODS)
def test_every_refusal_is_a_reply_of_its_class(method: str) -> None:
    for outcome in OUTCOMES:
        rejected = reply(Disposition("reject", f"{method}-{outcome}"), "example.org")
        deferred = reply(Disposition("defer", f"{method}-{outcome}"), "")
        assert isinstance(rejected, Reply)
        assert (rejected.code, deferred.code) == (550, 451)
        assert rejected.public_text.endswith(f"[{method}-{outcome}]")


def test_dmarc_says_whose_policy_it_was() -> None:
    shown = str(reply(Disposition("reject", "dmarc-fail-reject"), "example.org"))
    assert shown == "550 5.7.1 rejected by the DMARC policy of example.org [dmarc-fail-reject]"
