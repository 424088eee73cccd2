"""compose.yaml: what `make manifest` writes, with secrets as files alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tools.up.compose import rendered, write_secrets
from tools.up.place import PORTS, ROOT, Place

FILE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = FILE["services"]


def test_the_file_is_what_make_manifest_writes() -> None:
    assert (ROOT / "compose.yaml").read_text() == rendered(), "run `make manifest`"


def test_all_containers_of_the_pod_are_there() -> None:
    filters = {"milters", "policyd", "delivery", "spamassassin"}
    jobs = {"spamrules", "training", "postfixwatch"}
    parts = {"accounts", "dovecot", "postfix", "webmail", *filters, *jobs}
    assert set(SERVICES) == {"pod", *parts}
    for name in parts:
        assert SERVICES[name]["network_mode"] == "service:pod"
        assert SERVICES[name]["cap_drop"] == ["ALL"]
        assert SERVICES[name]["read_only"] is True
    assert len(SERVICES["pod"]["ports"]) == len(PORTS)
    assert all(port.startswith("127.0.0.1:") for port in SERVICES["pod"]["ports"])


def test_each_secret_is_a_file_for_those_who_read_it(tmp_path: Path) -> None:
    place = Place(name="x", state=tmp_path / ".compose")
    write_secrets(place)
    before = {path: path.read_text() for path in place.state.rglob("*") if path.is_file()}
    for secret in FILE["secrets"].values():
        assert before[tmp_path / secret["file"]], "an empty secret"
    assert (place.state / "gatepost" / "gatepost.toml") in before
    write_secrets(place)
    assert {path: path.read_text() for path in before} == before, "secrets were drawn anew"
    readers = {
        name: sorted(
            service
            for service, content in SERVICES.items()
            if name in [one["source"] for one in content.get("secrets", ())]
        )
        for name in FILE["secrets"]
    }
    assert readers == {
        # training reads the mailboxes
        "mailboxes-doveadm": ["accounts", "dovecot", "training"],
        "mailboxes-seal": ["accounts"],
        "mailboxes-srs": ["accounts"],
        # accounts backs them up
        "tls-ca.crt": ["accounts", "dovecot", "postfix", "webmail"],
        "tls-tls.crt": ["accounts", "dovecot", "postfix"],
        "tls-tls.key": ["accounts", "dovecot", "postfix"],
    }


def test_what_has_to_stay_is_in_volumes() -> None:
    places = {
        one.split(":")[0]: one.split(":")[1]
        for service in SERVICES.values()
        for one in service.get("volumes", ())
        if not one.startswith("./")
    }
    assert places == {
        "backup": "/backup",
        "accounts": "/var/lib/gatepost/accounts",
        "mail": "/srv/mail",
        "queue": "/var/spool/postfix",
        "store": "/var/lib/gatepost",
        "webmail": "/var/lib/webmail",
        "sockets": "/run/gatepost",
        "postfix-log": "/var/log/postfix",
        "spam": "/var/lib/spamassassin",
    }
    assert set(FILE["volumes"]) == set(places)
    watch = SERVICES["postfixwatch"]
    assert [one for one in watch["volumes"] if one.endswith(":ro")] == [
        *("queue:/var/spool/postfix:ro", "postfix-log:/var/log/postfix:ro")
    ]
    assert watch["user"] == "10001:10026"


def test_the_nightly_jobs_run_by_the_clock() -> None:
    assert SERVICES["training"]["entrypoint"] == ["daily", "02:40", "gatepost", "spam", "train"]
    assert SERVICES["spamrules"]["entrypoint"] == ["daily", "03:20", "update-rules"]
    assert "entrypoint" not in SERVICES["spamassassin"]
