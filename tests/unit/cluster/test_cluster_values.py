"""Values for a bare cluster, and the objects that they expect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cluster.options import OptionError, Options, read
from tests.cluster.values import (
    CERTIFICATES,
    FILES,
    MONITORS,
    adapted,
    expected_claims,
    expected_secrets,
    has_mailboxes,
    merged,
)
from tests.cluster.values import read as read_values

BARE: set[str] = set()


def test_a_bare_cluster_gets_no_custom_resource_and_its_own_class() -> None:
    values = adapted(read_values("services-full"), BARE)
    assert values["certificate"]["enabled"] is False
    assert values["monitoring"]["serviceMonitor"]["enabled"] is False
    assert "storageClass" not in values["persistence"]
    # all else is as in the file
    assert values["postfix"]["proxy"] is True
    assert "queue_run_delay" in values["postfix"]["files"]["99-tests.cf"]
    assert values["milters"] == read_values("services-full")["milters"]
    assert values["mail"]["proxyNetworks"] == ["10.0.0.0/24"]


def test_what_another_cluster_has_is_left_out() -> None:
    values: dict[str, dict[str, Any]] = {
        "global": {"imageRegistry": "registry.example", "other": 1},
        "pod": {"nodeSelector": {"a": "b"}, "podLabels": {"c": "d"}},
        "monitoring": {"prometheusRule": {"enabled": True}},
        "gateway": {"enabled": True},
    }
    found = adapted(values, BARE)
    assert found["global"] == {"other": 1}
    assert found["pod"] == {"podLabels": {"c": "d"}}
    assert found["monitoring"] == {"prometheusRule": {"enabled": False}}
    assert found["gateway"] == {"enabled": False}
    assert values["pod"]["nodeSelector"] == {"a": "b"}


def test_a_cluster_with_the_kinds_gets_them() -> None:
    values = adapted(read_values("services-full"), {CERTIFICATES, MONITORS})
    assert values["certificate"]["enabled"] is True
    assert values["monitoring"]["serviceMonitor"]["enabled"] is True


def test_values_merge_as_helm_merges_them() -> None:
    below = {"a": {"b": 1, "c": [1]}, "d": 2}
    assert merged(below, {"a": {"c": [2]}, "e": 3}) == {"a": {"b": 1, "c": [2]}, "d": 2, "e": 3}
    assert below == {"a": {"b": 1, "c": [1]}, "d": 2}


@pytest.mark.parametrize("name", FILES)
def test_what_the_files_name_is_made_before(name: str) -> None:
    values = read_values(name)
    text = FILES[name].read_text()
    for claim in expected_claims(values):
        assert claim in text
    if "passwordSecret" in text:
        assert values["store"]["passwordSecret"] in expected_secrets(values)
    assert has_mailboxes(values) == (name.startswith("mailboxes") or name == "demo")


def test_a_scanner_has_a_signature_without_the_internet() -> None:
    values = adapted(read_values("mailboxes-rspamd"), BARE)
    assert set(expected_claims(values)) == {"signatures"}
    assert "persistence" not in adapted(read_values("minimal"), BARE)


def test_claims_and_secrets_of_a_whole_system() -> None:
    values = read_values("mailboxes-full")
    assert set(expected_claims(values)) == {"accounts", "mail", "webmail"}
    assert set(expected_secrets(values)) == {"mail-mailboxes"}


def test_images_come_from_a_registry_of_the_users() -> None:
    options = Options(Path("k"), images="registry.example:5000/mail", tag="7")
    values = options.values()["images"]
    assert values["gatepost"] == {"repository": "registry.example:5000/mail/gatepost", "tag": "7"}
    assert values["postfix"]["repository"] == "registry.example:5000/mail/gatepost-postfix"
    assert Options(Path("k")).values() == {}


@pytest.mark.parametrize(
    "environment",
    [{}, {"KUBECONFIG": "a:b"}, {"KUBECONFIG": "a", "GATEPOST_CLUSTER_PATIENCE": "soon"}],
)
def test_a_variable_that_is_unusable_is_refused(environment: dict[str, str]) -> None:
    with pytest.raises(OptionError):
        read(environment)
