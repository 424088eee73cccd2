"""Settings that need a new process replace their pod; no other setting does."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from gatepost.config import keys_at_start
from milters.settings import MiltersSettings
from policyd.settings import PolicydSettings
from tests.chart.helm import CHART, VALUES, Rendered, render
from tools.scripts import at_start

SERVICES = "topology: services\n"
MAILBOXES = "mailboxes: {enabled: true, secret: mine}\n"
ANNOTATION = "gatepost/read-at-start"


def digests(rendered: Rendered) -> dict[str, str]:
    """The digest of each pod that has one."""
    found = {}
    for name, pod in rendered.pods().items():
        if digest := pod["metadata"].get("annotations", {}).get(ANNOTATION):
            found[name] = digest
    return found


def replaced(before: str, after: str) -> set[str]:
    """The pods that other values replace."""
    first, second = digests(render(before)), digests(render(after))
    return {name for name in first | second if first.get(name) != second.get(name)}


def test_the_list_is_that_of_the_code() -> None:
    assert (CHART / "at-start.yaml").read_text() == at_start.page(), "run `make manifest`"
    known = yaml.safe_load(at_start.page())
    for name, settings in (("milters", MiltersSettings), ("policyd", PolicydSettings)):
        assert [f"{name}.{key}" for key in known[name]] == sorted(keys_at_start(settings, name))
    assert "workers" in known["milters"]
    assert "greylist.delay" not in known["policyd"]


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_every_pod_with_a_daemon_of_gatepost_has_a_digest(values: Path) -> None:
    rendered = render(values.read_text())
    with_daemons = {
        name
        for name, pod in rendered.pods().items()
        if any(volume["name"] == "gatepost-config" for volume in pod["spec"]["volumes"])
    }
    assert with_daemons == set(digests(rendered))


@pytest.mark.parametrize(
    ("values", "pods"),
    [
        ("milters: {workers: 3}", {"mail-milters"}),
        ("config: {log: {level: debug}}", {"mail-milters", "mail-policyd"}),
        ("config: {policyd: {store: {timeout: 3s}}}", {"mail-policyd"}),
        ("config: {milters: {accounts: {url: 'https://a', senders: true}}}", {"mail-milters"}),
        ("postfix: {files: {a.cf: 'inet_protocols = ipv4'}}", {"mail-postfix"}),
        ("config: {policyd: {greylist: {delay: 60s}}}", set()),
        ("config: {milters: {max_connections: 77, drain_grace: 5s}}", set()),
        ("config: {dns: {timeout: 3s}}", set()),
        ("mail: {hostname: other.example.org, networks: [10.1.0.0/16]}", set()),
        ("postfix: {files: {a.cf: 'smtpd_banner = $myhostname'}}", set()),
        ("milters: {replicas: 5}", set()),
    ],
)
def test_a_key_replaces_the_pods_of_its_daemon(values: str, pods: set[str]) -> None:
    assert replaced(SERVICES, SERVICES + values) == pods


@pytest.mark.parametrize(
    ("values", "is_replaced"),
    [
        ("config: {accounts: {cache: {entries: 5000}}}", True),
        ("config: {accounts: {database: {timeout: 3s}}}", True),
        ("config: {delivery: {accounts: {journal: false}}}", True),
        ("config: {accounts: {lookup_timeout: 3s}}", False),
        ("config: {delivery: {spam: {junk_score: 6}}}", False),
    ],
)
def test_the_one_pod_is_replaced_for_each_of_its_daemons(values: str, is_replaced: bool) -> None:
    assert replaced(MAILBOXES, MAILBOXES + values) == ({"mail"} if is_replaced else set())


def test_annotations_of_the_users_stay() -> None:
    pods = render("podAnnotations: {team: mail}").pods()
    assert pods["mail"]["metadata"]["annotations"]["team"] == "mail"
    assert digests(render("podAnnotations: {team: mail}")) == digests(render())
