"""The spam filter and ClamAV: who asks whom, and the way of the mail."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from pydantic import TypeAdapter

from delivery.settings import DeliverySettings
from tests.chart.helm import CHART, HelmError, Rendered, helm, render, template

MAILBOXES = "mailboxes: {enabled: true, secret: mine}\n"
FULL = {
    path.stem.removeprefix("mailboxes-").removesuffix("-values"): path.read_text()
    for path in (CHART / "ci").glob("mailboxes-*-values.yaml")
}
FILTERS = {"delivery", "spamassassin", "spamrules", "training", "rspamd", "bayes", "clamav"}


def configuration(rendered: Rendered) -> dict[str, Any]:
    return tomllib.loads(rendered.one("ConfigMap", "mail-gatepost")["data"]["gatepost.toml"])


def settings(rendered: Rendered, name: str) -> dict[str, str]:
    found: dict[str, str] = rendered.one("ConfigMap", f"mail-{name}")["data"]
    return found


def filters(rendered: Rendered) -> set[str]:
    return FILTERS & set(rendered.containers())


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (MAILBOXES, {"delivery", "spamassassin", "spamrules", "training"}),
        (MAILBOXES + "spam: {engine: rspamd}", {"delivery", "rspamd", "bayes", "training"}),
        (MAILBOXES + "spam: {engine: none}", set()),
        (MAILBOXES + "spam: {engine: none}\nvirus: {enabled: true}", {"clamav"}),
        (
            MAILBOXES + "spam: {engine: none}\nvirus: {enabled: true, quarantine: q@example.org}",
            {"clamav", "delivery"},
        ),
        ("{}", set()),
        ("virus: {enabled: true}", {"clamav"}),
        ("topology: services", set()),
    ],
)
def test_what_runs_follows_from_two_values(values: str, expected: set[str]) -> None:
    rendered = render(values)
    assert filters(rendered) == expected
    assert ("freshclam" in rendered.containers()) == ("clamav" in expected)
    assert ("delivery" in configuration(rendered)) == ("delivery" in expected)


def test_mail_passes_delivery_on_its_way_to_dovecot() -> None:
    rendered = render(FULL["full"])
    config = configuration(rendered)["delivery"]
    assert settings(rendered, "postfix")["POSTFIX_NEXT_HOP"] == "lmtp:inet:127.0.0.1:10028"
    assert config["listen"] == "inet:10028@127.0.0.1"
    assert config["stores"] == {"default": "inet:10024@127.0.0.1"}
    assert settings(rendered, "dovecot")["DOVECOT_SPAM_FLAG"] == "yes"


def test_without_delivery_nobody_believes_the_flag_of_spam() -> None:
    rendered = render(FULL["unfiltered"])
    assert settings(rendered, "postfix")["POSTFIX_NEXT_HOP"] == "lmtp:inet:127.0.0.1:10024"
    assert "DOVECOT_SPAM_FLAG" not in settings(rendered, "dovecot")


@pytest.mark.parametrize("name", ["full", "rspamd", "quarantine"])
def test_delivery_takes_its_settings(name: str) -> None:
    config = configuration(render(FULL[name]))["delivery"]
    TypeAdapter(DeliverySettings).validate_python(config)


def test_one_name_is_believed_by_all() -> None:
    rendered = render(FULL["quarantine"])
    assert configuration(rendered)["milters"]["authserv_id"] == "gate.example.org"
    assert configuration(rendered)["delivery"]["authserv_id"] == "gate.example.org"
    assert settings(rendered, "spamassassin")["SPAM_AUTHSERV_ID"] == "gate.example.org"
    assert settings(render(FULL["full"]), "spamassassin")["SPAM_AUTHSERV_ID"] == "mail.example.org"


def test_own_settings_of_spamassassin_reach_it() -> None:
    rendered = render(FULL["quarantine"])
    found = settings(rendered, "spamassassin")
    assert found["scores.cf"] == "score BAYES_99 4.5\n"
    assert (found["SPAM_CHILDREN"], found["SPAM_PYZOR"], found["SPAM_DNS_LISTS"]) == (
        *("3", "yes", "yes"),
    )
    spam = configuration(rendered)["delivery"]["spam"]
    assert (spam["max_scans"], spam["junk_score"]) == (3, 6.5)
    command = rendered.containers()["training"]["command"]
    assert command == ["daily", "23:05", "gatepost", "spam", "train"]


def test_who_learns_and_who_scores_have_the_same_volume() -> None:
    containers = render(FULL["full"]).containers()
    for name in ("delivery", "spamassassin", "spamrules", "training"):
        places = {one["name"]: one["mountPath"] for one in containers[name]["volumeMounts"]}
        assert places["spam"] == "/var/lib/spamassassin", name


def test_a_virus_is_refused_or_quarantined() -> None:
    quarantine = configuration(render(FULL["quarantine"]))
    assert quarantine["delivery"]["virus"]["quarantine"] == "quarantine@example.org"
    assert "virus" not in quarantine["milters"]
    refused = configuration(render(FULL["rspamd"]))
    assert refused["milters"]["virus"]["address"] == "inet:3310@127.0.0.1"
    assert "virus" not in refused["delivery"]


def test_rspamd_has_its_database_and_own_settings() -> None:
    found = settings(render(FULL["rspamd"]), "rspamd")
    assert found["RSPAMD_VALKEY"] == "127.0.0.1:6379"
    assert found["RSPAMD_VALKEY_PASSWORD_FILE"] == "/secrets/rspamd/valkey"
    assert found["actions.conf"] == "add_header = 7;\n"


def test_rspamd_always_asks_for_a_password() -> None:
    rendered = render(FULL["rspamd"])
    assert set(rendered.one("Secret", "mail-rspamd")["data"]) == {"password", "valkey"}
    config = configuration(rendered)["delivery"]["spam"]
    assert config["password_file"] == "/secrets/rspamd/password"
    own = render(MAILBOXES + "spam: {engine: rspamd, secret: mine}")
    assert "mail-rspamd" not in own.kind("Secret")
    volumes = own.pods()["mail"]["spec"]["volumes"]
    assert {"secretName": "mine", "defaultMode": 0o440} in [one.get("secret") for one in volumes]


def test_nobody_reaches_the_filters_from_outside() -> None:
    for name in ("full", "rspamd", "quarantine"):
        policy = render(FULL[name]).one("NetworkPolicy", "mail-pod")["spec"]
        opened = {port["port"] for rule in policy["ingress"] for port in rule["ports"]}
        assert not opened & {10024, 10027, 10028, 7830, 3310, 11334, 6379}
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} >= {
        *(24441, 2703, 80, 443, 53),
    }


def test_what_was_trained_stays_when_the_release_is_removed() -> None:
    for name, claim in (("full", "mail-spam"), ("rspamd", "mail-bayes")):
        found = render(FULL[name]).one("PersistentVolumeClaim", claim)
        assert found["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ("spam: {engine: rspamd}", "the spam filter is about mailboxes, so set both"),
        ("virus: {quarantine: q@example.org}", "virus.quarantine is set without virus.enabled"),
        ("virus: {enabled: true, quarantine: q@example.org}", "needs mailboxes.enabled"),
        ("topology: services\nvirus: {enabled: true}", "virus.enabled needs topology pod"),
        ("spam: {trainAt: '24:00'}", "does not match pattern"),
        ("spam: {engine: clamav}", "must be one of"),
    ],
)
def test_what_cannot_work_is_refused(values: str, sentence: str) -> None:
    with pytest.raises(HelmError, match=sentence):
        template(values)


def test_metrics_of_delivery_are_found() -> None:
    service = render(FULL["full"]).one("Service", "mail-delivery-metrics")["spec"]
    assert service["ports"] == [
        {"name": "metrics", "port": 9105, "targetPort": "metrics-deliver"},
    ]


def test_the_notes_say_where_spam_goes() -> None:
    def notes(values: str) -> str:
        told = helm("install", "mail", CHART, "--dry-run=client", values=values)
        return told.partition("NOTES:")[2]

    assert "Junk" in notes(FULL["full"])
    assert "Junk" not in notes(FULL["unfiltered"])
