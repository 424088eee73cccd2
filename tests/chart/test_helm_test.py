"""Objects of `helm test`; tests/postfix/test_helm_check.py runs the script in them."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.chart.helm import CHART, HelmError, Rendered, helm
from tests.chart.test_valid import NEWEST, OLDEST

SCRIPT = (CHART / "files" / "check.py").read_text()


def hooks(**values: object) -> Rendered:
    """Return the objects that the test adds to the release."""
    text = helm("template", "mail", CHART, values=yaml.safe_dump(values))
    rendered = Rendered(text)
    rendered.objects = [
        each
        for each in rendered.objects
        if each["metadata"].get("annotations", {}).get("helm.sh/hook") == "test"
    ]
    for each in rendered.objects:
        for version in (OLDEST, NEWEST):
            kubernetes_validate.validate(each, version, strict=True)
    return rendered


def settings(pod: dict[str, Any]) -> dict[str, str]:
    (container,) = pod["spec"]["containers"]
    return {each["name"].removeprefix("CHECK_"): each["value"] for each in container["env"]}


def assert_mounted(pod: dict[str, Any]) -> None:
    (container,) = pod["spec"]["containers"]
    mounts = {each["name"] for each in container["volumeMounts"]}
    assert mounts == {each["name"] for each in pod["spec"]["volumes"]}


def test_the_pod_runs_the_script_with_no_rights() -> None:
    rendered = hooks()
    pod = rendered.one("Pod", "mail-tests")
    assert rendered.one("ConfigMap", "mail-tests")["data"]["check.py"] == SCRIPT
    assert settings(pod) == {
        "SMTP": "mail-smtp:25",
        "HOSTNAME": "mail.example.org",
        "DOMAIN": "example.org",
    }
    assert_mounted(pod)
    (container,) = pod["spec"]["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["runAsNonRoot"] is True
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["restartPolicy"] == "Never"
    assert set(rendered.kind("NetworkPolicy")) == {"mail-tests"}
    # only the pod stays, because --logs reads its log after the test
    for each in rendered.objects:
        policy = each["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
        assert policy.endswith(",hook-succeeded") == (each["kind"] != "Pod")
    assert hooks(networkPolicy={"enabled": False}).kind("NetworkPolicy") == {}


def test_the_services_are_asked_directly_and_let_it_in() -> None:
    rendered = hooks(topology="services")
    found = settings(rendered.one("Pod", "mail-tests"))
    assert found["MILTER"] == "inet:8891@mail-milters"
    assert found["POLICY"] == "inet:10023@mail-policyd"
    policies = rendered.kind("NetworkPolicy")
    assert set(policies) == {"mail-tests", "mail-tests-milters", "mail-tests-policyd"}
    for name, port in (("milters", 8891), ("policyd", 10023)):
        spec = policies[f"mail-tests-{name}"]["spec"]
        assert spec["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == name
        (rule,) = spec["ingress"]
        assert rule["ports"] == [{"port": port}]
        (peer,) = rule["from"]
        assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "tests"


@pytest.mark.parametrize("own", [False, True])
def test_a_message_goes_from_a_mailbox_to_itself(own: bool) -> None:
    pod = hooks(
        mailboxes={"enabled": True},
        webmail={"enabled": True, "ownAuthority": own},
        tests={"secret": "tester"},
    ).one("Pod", "mail-tests")
    found = settings(pod)
    assert found["SUBMISSION"] == "mail-smtp:587"
    assert found["IMAP"] == "mail-mailboxes:143"
    assert found["LOGIN"] == "/login"
    assert found.get("CA_FILE") == ("/authority/ca.crt" if own else None)
    assert_mounted(pod)
    (login,) = [each for each in pod["spec"]["volumes"] if each["name"] == "login"]
    assert login["secret"]["secretName"] == "tester"


def test_the_script_knows_every_setting() -> None:
    pods = [
        hooks(topology="services"),
        hooks(demo=True, tests={"secret": "tester"}),
    ]
    for rendered in pods:
        for name in settings(rendered.one("Pod", "mail-tests")):
            assert f'of("{name}")' in SCRIPT


def test_a_wrong_value_is_refused() -> None:
    with pytest.raises(HelmError, match="does not match pattern"):
        hooks(tests={"secret": "A_B"})
    with pytest.raises(HelmError, match="user"):
        hooks(tests={"user": "anna"})
