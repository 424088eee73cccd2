"""What helm tells whoever has installed the chart."""

from __future__ import annotations

from tests.chart.helm import CHART, helm


def notes(values: str = "") -> str:
    told = helm("install", "mail", CHART, "--dry-run=client", "--namespace=post", values=values)
    return told.partition("NOTES:")[2]


def test_they_have_the_names_of_the_user() -> None:
    told = notes("{mail: {hostname: mx.example.net, domains: [example.net, example.com]}}")
    assert "mx.example.net accepts mail for example.net, example.com." in told
    assert "gatepost keys new example.net" in told
    assert "kubectl -n post get service mail-smtp" in told


def test_who_takes_mail_for_no_domain_is_told_so() -> None:
    told = notes("{mail: {domains: []}}")
    assert "mail.example.org accepts mail for no domain." in told
    assert "_dmarc.DOMAIN." in told


def test_who_has_a_monitor_is_told_who_may_read_it() -> None:
    """A Prometheus in a namespace of its own, as most are, would find the port closed."""
    monitor = "monitoring: {serviceMonitor: {enabled: true}}"
    sentence = "networkPolicy.metricsFrom"
    assert sentence in notes(f"{{{monitor}}}")
    named = "networkPolicy: {metricsFrom: [{namespaceSelector: {}}]}"
    for values in (
        "{}",
        f"{{{monitor}, {named}}}",
        f"{{{monitor}, networkPolicy: {{enabled: false}}}}",
    ):
        assert sentence not in notes(values)


def test_who_has_mailboxes_is_told_of_the_first_user_and_of_no_key_file() -> None:
    own = "mailboxes: {enabled: true, secret: mine}"
    told = notes(f"{{mail: {{hostname: mx.example.net, domains: [example.net]}}, {own}}}")
    assert "mx.example.net accepts mail for the domains that you add to accounts." in told
    gatepost = "kubectl -n post exec -it deploy/mail -c accounts -- gatepost"
    for words in (
        "domain add example.net",
        "user add anna@example.net",
        "admin add root --role global",
        "dkim add example.net s1",
        "domain check example.net --zone",
    ):
        assert f"{gatepost} {words}" in told
    assert "kubectl -n post get service mail-smtp mail-mailboxes" in told
    assert "the Secret mine" in told
    assert "gatepost keys new" not in told
    assert "mail-dkim" not in told
    assert "mail-webmail" not in told
    assert "mail-webmail" in notes(f"{{{own}, webmail: {{enabled: true}}}}")


def test_who_has_an_ingress_is_told_where_webmail_is() -> None:
    whole = "mailboxes: {enabled: true}, webmail: {enabled: true, prefix: /webmail/"
    told = notes(f"{{{whole}}}, ingress: {{enabled: true}}}}")
    assert "Webmail is at https://mail.example.org/webmail/ when" in told
    assert "set webmail.proxies" in told
    told = notes(
        f"{{{whole}, proxies: [10.0.0.0/8]}}, ingress: {{enabled: true}},"
        " web: {webmail: [web.example.org]}}"
    )
    assert "Webmail is at https://web.example.org/webmail/ when" in told
    assert "webmail.proxies" not in told


def test_the_steps_are_numbered() -> None:
    monitor = "monitoring: {serviceMonitor: {enabled: true}}"
    for values, steps in (
        ("{}", 3),
        (f"{{{monitor}}}", 4),
        ("{mailboxes: {enabled: true}}", 4),
        (f"{{mailboxes: {{enabled: true}}, {monitor}}}", 5),
    ):
        numbers = [line[0] for line in notes(values).splitlines() if line[1:3] == ". "]
        assert numbers == [str(number + 1) for number in range(steps)]


def test_who_has_services_of_ones_own_is_told_of_the_ports_of_their_pods() -> None:
    values = (
        "mail: {nextHop: 'lmtp:inet:dovecot:24'}, postfix: {sasl: 'inet:dovecot:12345'},"
        " store: {kind: valkey, url: 'valkey://cache:6379'}"
    )
    told = notes(f"{{{values}}}")
    assert "networkPolicy.nextHopPorts for mail.nextHop (lmtp:inet:dovecot:24)" in told
    assert "networkPolicy.saslPorts for postfix.sasl (inet:dovecot:12345)" in told
    assert "networkPolicy.storePorts for store.url (valkey://cache:6379)" in told
    assert "targetPort" not in notes(f"{{{values}, networkPolicy: {{enabled: false}}}}")
    assert "targetPort" not in notes("{mailboxes: {enabled: true}}")


def test_everybody_is_told_which_pod_security_it_needs() -> None:
    for values in ("{}", "{demo: true}", "{topology: services}", "{mailboxes: {enabled: true}}"):
        told = notes(values)
        assert "the Pod Security Standard baseline" in told
        assert "kubectl -n post get events --field-selector reason=FailedCreate" in told
