"""The way of browsers to webmail and to the pages: Ingress, Gateway API, and the certificate."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest
import yaml

from accounts.http.autoconfig import APPLE, THUNDERBIRD
from tests.chart.helm import HelmError, Rendered, render, template
from tests.chart.test_valid import NEWEST, OLDEST

WHOLE = {
    "mailboxes": {"enabled": True},
    "webmail": {"enabled": True, "prefix": "/webmail/"},
    "web": {
        "accounts": ["post.example.org"],
        "autoconfig": ["autoconfig.example.org", "autodiscover.example.org"],
    },
}
NAMES = [
    *("mail.example.org", "post.example.org"),
    *("autoconfig.example.org", "autodiscover.example.org"),
]


def whole(**more: object) -> Rendered:
    return render(yaml.safe_dump({**WHOLE, **more}))


def ways(ingress: dict[str, Any]) -> set[tuple[str, str, str, str]]:
    return {
        (rule["host"], path["pathType"], path["path"], path["backend"]["service"]["name"])
        for rule in ingress["spec"]["rules"]
        for path in rule["http"]["paths"]
    }


def test_an_ingress_leads_each_name_to_its_service() -> None:
    values = {
        "enabled": True,
        "className": "nginx",
        "annotations": {"a": "b"},
        "labels": {"team": "web"},
    }
    rendered = whole(ingress=values)
    ingress = rendered.one("Ingress", "mail-web")
    for version in (OLDEST, NEWEST):
        kubernetes_validate.validate(ingress, version, strict=True)
    assert ingress["metadata"]["annotations"] == {"a": "b"}
    assert ingress["metadata"]["labels"]["team"] == "web"
    assert ingress["spec"]["ingressClassName"] == "nginx"
    assert ingress["spec"]["tls"] == [{"secretName": "mail-tls", "hosts": NAMES}]
    found = ways(ingress)
    assert ("mail.example.org", "Prefix", "/webmail", "mail-webmail") in found
    assert ("post.example.org", "Prefix", "/", "mail-accounts") in found
    for host in WHOLE["web"]["autoconfig"]:  # type: ignore[index]
        paths = {path for name, _, path, service in found if name == host}
        assert paths >= {*THUNDERBIRD, APPLE, "/autodiscover/autodiscover.xml"}
        assert {kind for name, kind, _, _ in found if name == host} == {"Exact"}
    services = rendered.kind("Service")
    for rule in ingress["spec"]["rules"]:
        for path in rule["http"]["paths"]:
            backend = path["backend"]["service"]
            ports = services[backend["name"]]["spec"]["ports"]
            assert backend["port"]["name"] in {port["name"] for port in ports}


def test_the_gateway_leads_as_the_ingress() -> None:
    parent = {"name": "edge", "namespace": "gateways", "port": 8443}
    rendered = whole(gateway={"enabled": True, "parentRefs": [parent]}, ingress={"enabled": True})
    routes = rendered.kind("HTTPRoute")
    assert set(routes) == {"mail-webmail", "mail-accounts", "mail-autoconfig"}
    found = set()
    for route in routes.values():
        assert route["spec"]["parentRefs"] == [parent]
        (rule,) = route["spec"]["rules"]
        (backend,) = rule["backendRefs"]
        ports = rendered.one("Service", backend["name"])["spec"]["ports"]
        assert [port["port"] for port in ports] == [backend["port"]]
        found |= {
            (host, match["path"]["type"].removeprefix("Path"), match["path"]["value"],
             backend["name"])
            for host in route["spec"]["hostnames"]
            for match in rule["matches"]
        }  # fmt: skip
    assert found == ways(rendered.one("Ingress", "mail-web"))


def test_webmail_may_have_names_of_its_own() -> None:
    rendered = whole(ingress={"enabled": True}, web={"webmail": ["web.example.org"]})
    assert ways(rendered.one("Ingress", "mail-web")) == {
        ("web.example.org", "Prefix", "/webmail", "mail-webmail")
    }
    assert "HTTPRoute" not in {each["kind"] for each in rendered.objects}


@pytest.mark.parametrize(
    ("ingress", "names"),
    [
        ({"enabled": True}, NAMES),
        ({"enabled": True, "tlsSecret": "web-tls"}, NAMES[:1]),
        ({"enabled": False}, NAMES[:1]),
    ],
)
def test_one_certificate_has_all_names(ingress: dict[str, object], names: list[str]) -> None:
    rendered = whole(
        ingress=ingress,
        externalDNS={"enabled": True, "mailboxes": "imap.example.org"},
        certificate={
            "enabled": True,
            "dnsNames": ["mx.example.org", "mail.example.org"],
            "duration": "2160h",
            "renewBefore": "360h",
            "issuer": {"name": "own", "kind": "StepIssuer", "group": "certmanager.step.sm"},
        },
    )
    spec = rendered.one("Certificate", "mail-tls")["spec"]
    assert set(spec["dnsNames"]) == {*names, "mx.example.org", "imap.example.org"}
    assert len(spec["dnsNames"]) == len(set(spec["dnsNames"]))
    assert (spec["duration"], spec["renewBefore"]) == ("2160h", "360h")
    assert spec["issuerRef"] == {
        "group": "certmanager.step.sm", "kind": "StepIssuer", "name": "own",
    }  # fmt: skip
    if ingress["enabled"]:
        (tls,) = rendered.one("Ingress", "mail-web")["spec"]["tls"]
        assert tls["secretName"] == ingress.get("tlsSecret", spec["secretName"])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{ingress: {enabled: true}}", "there is nothing to lead to"),
        (
            "{mailboxes: {enabled: true}, webmail: {enabled: true}, gateway: {enabled: true}}",
            "needs gateway.parentRefs",
        ),
        (
            "{mailboxes: {enabled: true}, webmail: {enabled: true},"
            " web: {accounts: [mail.example.org]}}",
            "give the pages a name of their own in web.accounts",
        ),
        ("{web: {webmail: [UPPER.example.org]}}", "does not match pattern"),
        ("{web: {pages: []}}", "pages"),
        ("{ingress: {class: nginx}}", "class"),
        ("{ingress: {className: A_B}}", "does not match pattern"),
        ("{gateway: {parentRefs: [{namespace: x}]}}", "missing property 'name'"),
        ("{gateway: {parentRefs: [{name: x, hostname: y}]}}", "hostname"),
        ("{certificate: {duration: 90d}}", "does not match pattern"),
        ("{certificate: {issuer: {kind: Other}}}", "Issuer or ClusterIssuer"),
        ("{certificate: {issuer: {group: ''}}}", "does not match pattern"),
    ],
)
def test_it_says_what_is_wrong(text: str, sentence: str) -> None:
    with pytest.raises(HelmError) as caught:
        template(text)
    assert sentence in str(caught.value)


def test_names_are_those_that_kubernetes_takes() -> None:
    """RFC 4343: upper case means the same as lower case."""
    values = (
        "{mailboxes: {enabled: true}, webmail: {enabled: true}, ingress: {enabled: true},"
        " mail: {hostname: %s}}"
    )
    spec = render(values % "Mail.Example.org").one("Ingress", "mail-web")["spec"]
    assert [each["host"] for each in spec["rules"]] == ["mail.example.org"]
    assert spec["tls"][0]["hosts"] == ["mail.example.org"]
    with pytest.raises(HelmError, match="because it has an underscore"):
        render(values % "mail_1.example.org")
