"""The password of the Valkey server that the chart runs."""

from __future__ import annotations

import base64
import tomllib
from pathlib import Path

import pytest

from tests.chart.cluster import cluster
from tests.chart.helm import CHART, VALUES, Rendered, helm, render

SETS = {path.stem.removesuffix("-values"): path.read_text() for path in VALUES}
FILE = "/secrets/valkey/password"


def password(rendered: Rendered) -> str:
    return base64.b64decode(rendered.one("Secret", "mail-valkey")["data"]["password"]).decode()


def secret_of(pod: dict[str, object]) -> str:
    """The Secret that a pod's volume `valkey-password` shows."""
    volumes = pod["spec"]["volumes"]  # type: ignore[index]
    (volume,) = [each for each in volumes if each["name"] == "valkey-password"]
    assert volume["secret"]["items"][0]["path"] == "password"
    return str(volume["secret"]["secretName"])


@pytest.mark.parametrize("name", ["services", "services-full", "pod-valkey"])
def test_server_and_client_read_the_same_file(name: str) -> None:
    rendered = render(SETS[name])
    variables = rendered.containers()["valkey"]["env"]
    assert {"name": "VALKEY_PASSWORD_FILE", "value": FILE} in variables
    config = tomllib.loads(rendered.one("ConfigMap", "mail-gatepost")["data"]["gatepost.toml"])
    assert config["policyd"]["store"]["password_file"] == FILE
    pods = rendered.pods()
    client = pods["mail" if name == "pod-valkey" else "mail-policyd"]
    assert secret_of(client) == secret_of(pods["mail-valkey"])


def test_every_install_has_a_password_of_its_own() -> None:
    first, second = (password(render(SETS["services"])) for _ in range(2))
    assert first != second
    assert len(first) == 32
    assert first.isalnum()  # images/valkey/run takes nothing that valkey.conf would read otherwise


def test_an_upgrade_keeps_it(tmp_path: Path) -> None:
    kept = base64.b64encode(b"made-by-the-install").decode()
    with cluster(tmp_path, {"mail-valkey": {"password": kept}}) as kubeconfig:
        text = helm(
            *("template", "mail", CHART, "--namespace", "default", "--is-upgrade"),
            *("--dry-run=server", "--disable-openapi-validation", "--kubeconfig", kubeconfig),
            values=SETS["services"],
        )
    assert password(Rendered(text)) == "made-by-the-install"


def test_a_password_of_the_users_is_not_generated_again() -> None:
    rendered = render(SETS["services-full"])
    assert rendered.kind("Secret") == {}
    assert secret_of(rendered.pods()["mail-valkey"]) == "valkey-password"


def test_a_server_of_the_users_may_have_none() -> None:
    rendered = render("{store: {kind: valkey, url: 'valkey://cache.data.svc'}}")
    assert rendered.kind("Secret") == {}
    config = tomllib.loads(rendered.one("ConfigMap", "mail-gatepost")["data"]["gatepost.toml"])
    assert "password_file" not in config["policyd"]["store"]
