"""The demonstration: one value for a whole system, and the way to leave it."""

from __future__ import annotations

import base64
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.chart.cluster import cluster
from tests.chart.helm import CHART, Rendered, helm, render

DEMO = "demo: true\n"
LEFT = "mailboxes: {enabled: true}\nwebmail: {enabled: true}\n"


def certificate(rendered: Rendered) -> dict[str, bytes]:
    data = rendered.one("Secret", "mail-demo-tls")["data"]
    return {name: base64.b64decode(value) for name, value in data.items()}


def test_one_value_is_a_whole_system_with_a_certificate() -> None:
    rendered = render(DEMO + "mail: {hostname: mx.example.net}\n")
    assert set(rendered.containers()) == {
        *("postfix", "milters", "policyd", "accounts", "dovecot", "webmail"),
        *("delivery", "spamassassin", "spamrules", "training", "postfixwatch"),
    }
    files = certificate(rendered)
    made = x509.load_pem_x509_certificate(files["tls.crt"])
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "mx.example.net" in names.get_values_for_type(x509.DNSName)
    key = load_pem_private_key(files["tls.key"], None)
    assert key.public_key() == made.public_key()
    assert files["ca.crt"] == files["tls.crt"]


def test_every_demonstration_has_a_key_of_its_own() -> None:
    first, second = (certificate(render(DEMO)) for _ in range(2))
    assert first["tls.key"] != second["tls.key"]


def test_an_upgrade_keeps_the_certificate(tmp_path: Path) -> None:
    made = {name: base64.b64encode(name.encode()).decode() for name in ("tls.crt", "tls.key")}
    with cluster(tmp_path, {"mail-demo-tls": made}) as kubeconfig:
        text = helm(
            *("template", "mail", CHART, "--namespace", "default", "--is-upgrade"),
            *("--dry-run=server", "--disable-openapi-validation", "--kubeconfig", kubeconfig),
            values=DEMO,
        )
    assert certificate(Rendered(text)) == {
        "tls.crt": b"tls.crt",
        "tls.key": b"tls.key",
        "ca.crt": b"tls.crt",
    }


def test_leaving_it_changes_the_certificate_and_keeps_every_volume() -> None:
    demo, left = render(DEMO), render(LEFT)
    assert demo.kind("PersistentVolumeClaim") == left.kind("PersistentVolumeClaim")
    assert demo.kind("Secret").keys() - left.kind("Secret").keys() == {"mail-demo-tls"}
    for rendered, name in ((demo, "mail-demo-tls"), (left, "mail-tls")):
        volumes = rendered.pods()["mail"]["spec"]["volumes"]
        used = {each["secret"]["secretName"] for each in volumes if "secret" in each}
        assert {one for one in used if one.endswith("tls")} == {name}


def test_its_notes_name_the_command_that_adds_users() -> None:
    told = helm("install", "mail", CHART, "--dry-run=client", "--namespace=post", values=DEMO)
    assert (
        "kubectl -n post exec -it deploy/mail -c accounts -- gatepost accounts demo --domain "
        "example.org" in told
    )
    assert "port-forward service/mail-webmail 2080:80" in told
    assert "user add" not in told
