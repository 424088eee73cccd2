"""The secrets of the mailboxes that the chart makes."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.chart.cluster import cluster
from tests.chart.helm import CHART, HelmError, Rendered, helm, render

VALUES = "mailboxes: {enabled: true}\n"


def secrets(rendered: Rendered) -> dict[str, bytes]:
    data = rendered.one("Secret", "mail-mailboxes")["data"]
    return {name: base64.b64decode(value) for name, value in data.items()}


def test_every_install_has_secrets_of_its_own() -> None:
    first, second = (secrets(render(VALUES)) for _ in range(2))
    assert set(first) == {"seal", "doveadm", "srs"}
    assert all(first[name] != second[name] for name in first)
    assert len(base64.b64decode(first["seal"], validate=True)) == 32
    assert len(first["doveadm"]) == len(first["srs"]) == 32


def test_an_upgrade_keeps_them(tmp_path: Path) -> None:
    made = {
        name: base64.b64encode(f"{name} of the install".encode()).decode()
        for name in ("seal", "doveadm", "srs")
    }
    with cluster(tmp_path, {"mail-mailboxes": made}) as kubeconfig:
        text = helm(
            *("template", "mail", CHART, "--namespace", "default", "--is-upgrade"),
            *("--dry-run=server", "--disable-openapi-validation", "--kubeconfig", kubeconfig),
            values=VALUES,
        )
    assert secrets(Rendered(text)) == {name: f"{name} of the install".encode() for name in made}


def test_secrets_of_the_users_are_not_generated_again() -> None:
    rendered = render("mailboxes: {enabled: true, secret: own}\n")
    assert not rendered.kind("Secret")
    volumes = rendered.pods()["mail"]["spec"]["volumes"]
    assert {v["secret"]["secretName"] for v in volumes if v["name"] == "mailboxes-secrets"} == {
        "own"
    }


def test_the_tables_are_made_before_the_service_starts() -> None:
    assert render(VALUES).containers()["accounts"]["args"] == ["accounts", "--migrate"]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ("topology: services\nmailboxes: {enabled: true}\n", "needs topology pod"),
        ("webmail: {enabled: true}\n", "set mailboxes.enabled"),
        (VALUES + "postfix: {sasl: 'inet:dovecot:12345'}\n", "leave postfix.sasl empty"),
        (VALUES + "tls: {secret: ''}\n", "need a certificate"),
        (VALUES + "dovecot: {files: {DOVECOT_RULES: x}}\n", "dovecot.files has DOVECOT_RULES"),
    ],
)
def test_values_that_cannot_work_are_explained(values: str, text: str) -> None:
    with pytest.raises(HelmError, match=text):
        render(values)
