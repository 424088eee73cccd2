"""The manifest as tests play it: the user's changes, and names of its own."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.testbed import manifest
from tests.testbed.manifest import Changes

NAME = "run-1"
CHANGES = Changes(
    images={"gatepost": "localhost/gatepost:x", "postfix": "localhost/postfix:x"},
    nameserver="192.0.2.53",
    gatepost={"policyd": {"greylist": {"delay": "3s"}}},
    postfix={"POSTFIX_PROXY": "yes", "tests.cf": "a = b\n"},
    secrets={"mail-dkim": Path("/some/keys"), "mail-tls": Path("/some/tls")},
)


@pytest.fixture
def objects() -> list[manifest.Object]:
    return manifest.objects(NAME, CHANGES)


def pod(objects: list[manifest.Object]) -> dict[str, Any]:
    (deployment,) = manifest.kind(objects, "Deployment")
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


def test_every_object_and_every_reference_has_the_name_of_the_run(
    objects: list[manifest.Object],
) -> None:
    assert {each["metadata"]["name"].startswith(NAME) for each in objects} == {True}
    without_data = [{**each, "data": ""} for each in objects]
    assert not re.search(r"[: ]mail(-[a-z]+)?$", manifest.text(without_data), re.MULTILINE)
    names = {volume["name"] for volume in pod(objects)["volumes"]}
    assert {name.startswith(f"{NAME}-") for name in names} == {True}
    for container in pod(objects)["containers"]:
        assert {mount["name"] for mount in container["volumeMounts"]} <= names


def test_what_the_user_does_not_change_stays(objects: list[manifest.Object]) -> None:
    theirs = [each for each in yaml.safe_load_all(manifest.MANIFEST.read_text()) if each]
    assert [each["kind"] for each in objects] == [each["kind"] for each in theirs]
    before, after = pod(theirs), pod(objects)
    for one, other in zip(before["containers"], after["containers"], strict=True):
        for key in ("name", "args", "securityContext", "resources", "readinessProbe"):
            assert one.get(key) == other.get(key)
        assert [mount["mountPath"] for mount in one["volumeMounts"]] == [
            mount["mountPath"] for mount in other["volumeMounts"]
        ]


def test_the_configuration_has_the_changes_laid_over_it(objects: list[manifest.Object]) -> None:
    gatepost, postfix = manifest.kind(objects, "ConfigMap")
    settings = tomllib.loads(gatepost["data"]["gatepost.toml"])
    assert settings["hostname"] == "mail.example.org"
    assert settings["policyd"]["greylist"] == {"delay": "3s"}
    assert settings["policyd"]["store"]["kind"] == "sqlite"
    assert postfix["data"]["POSTFIX_PROXY"] == "yes"
    assert postfix["data"]["POSTFIX_HOSTNAME"] == "mail.example.org"
    assert postfix["data"]["tests.cf"] == "a = b\n"


def test_folders_stand_for_the_secrets(objects: list[manifest.Object]) -> None:
    volumes = {each["name"]: each for each in pod(objects)["volumes"]}
    assert volumes[f"{NAME}-keys"]["hostPath"]["path"] == "/some/keys"
    assert volumes[f"{NAME}-tls"]["hostPath"]["path"] == "/some/tls"
    assert "secret" not in str(volumes)


def test_only_containers_that_are_not_root_get_another_user() -> None:
    changes = Changes(**{**vars(CHANGES), "user": 54321})
    users = {
        each["name"]: each["securityContext"]["runAsUser"]
        for each in pod(manifest.objects(NAME, changes))["containers"]
    }
    assert users == {"milters": 54321, "policyd": 54321, "postfix": 0}
