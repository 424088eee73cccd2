"""The files in etc/, for Debian without containers, have the settings of the images.

Each difference is a place, a user or a port of Debian, and stands here.
"""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.testbed.documented import parse_main_cf

ROOT = Path(__file__).resolve().parents[3]
ETC = ROOT / "etc"
POSTFIX = {
    "POSTFIX_HOSTNAME": "mail.example.org",
    "POSTFIX_ACCOUNTS": "unix:/gatepost/accounts",
    "POSTFIX_QUOTA": "unix:/private/dovecot-quota",
    "POSTFIX_NEXT_HOP": "lmtp:unix:/gatepost/delivery",
    "POSTFIX_REDIRECT_NETWORKS": "127.0.0.0/8",
    "POSTFIX_MILTERS": "unix:/gatepost/milter",
    "POSTFIX_POLICY": "unix:/gatepost/policyd",
    "POSTFIX_SASL": "gatepost/auth",
}
DOVECOT = {
    "DOVECOT_HOSTNAME": "mail.example.org",
    "DOVECOT_ACCOUNTS": "http://127.0.0.1:8081",
    "DOVECOT_ACCOUNTS_TOKEN_FILE": "{folder}/doveadm",
    "DOVECOT_DOVEADM_KEY_FILE": "{folder}/doveadm",
    "DOVECOT_RULES": "/var/spool/gatepost-dovecot/rules",
    "DOVECOT_SUBMISSION": "127.0.0.1:10025",
    "DOVECOT_SPAM_FLAG": "yes",
    "DOVECOT_LEARNING": "127.0.0.1:10027",
    "DOVECOT_MASTER_NETWORKS": "127.0.0.1",
    "DOVECOT_TRUSTED_NETWORKS": "127.0.0.1",
}
MASTER = ("driver", "master", "passdb_static_password", "fields / allow_nets")
"""Settings of the login with which the nightly training reads mail."""
KEPT = ("gate_quota", "gate_bounces_only", "gate_redirect_networks")
"""Parameters of our own that Postfix looks up by their names."""


def rendered(image: str, settings: Mapping[str, str], folder: Path) -> Path:
    for name in ("config", "tls", "out"):
        (folder / name).mkdir()
    (folder / "doveadm").write_text("key\n")
    (folder / "tls" / "tls.key").touch()
    (folder / "tls" / "tls.crt").touch()
    subprocess.run(
        ["bash", ROOT / "images" / image / "bin" / "render", folder / "out"],
        env={
            "PATH": os.environ["PATH"],
            "GATE_CONFIG": str(folder / "config"),
            "GATE_TLS": str(folder / "tls"),
            "GATE_IMAGE": str(ROOT / "images" / image),
            **{name: value.format(folder=folder) for name, value in settings.items()},
        },
        check=True,
        capture_output=True,
    )
    return folder / "out"


def differences(ours: Mapping[str, Any], images: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """By name: the value in etc/ and that of the image; None where there is none."""
    return {
        name: (ours.get(name), images.get(name))
        for name in sorted({*ours, *images})
        if ours.get(name) != images.get(name)
    }


def main_cf(path: Path) -> dict[str, str]:
    """The parameters, with the values of those of our own in their places."""
    # the chroot is the folder that the paths of sockets begin at
    found = parse_main_cf(path.read_text().replace("unix:/", "unix:"))
    own = {name: value for name, value in found.items() if name.startswith("gate_")}
    return {
        name: list_of(re.sub(r"\$(gate_\w+)", lambda match: own.get(match[1], ""), value))
        for name, value in found.items()
        if name not in own or name in KEPT
    }


def list_of(value: str) -> str:
    """The value, with one blank between its words and after its commas, and none missing."""
    return re.sub(r"(, )+", ", ", re.sub(r"\s*,\s*", ", ", " ".join(value.split()))).strip(", ")


def master_cf(path: Path, own: Mapping[str, str]) -> dict[str, Any]:
    """The services, without the column for the chroot: their columns and their parameters."""
    text = re.sub(r"\n[ \t]+", " ", re.sub(r"^#.*\n", "", path.read_text(), flags=re.MULTILINE))
    services: dict[str, Any] = {}
    for line in text.replace("unix:/", "unix:").splitlines():
        if not line:
            continue
        name, kind, private, unprivileged, _, wakeup, limit, command = line.split(None, 7)
        command, *options = re.split(r" +-o +", command)
        columns = (private, unprivileged, wakeup, limit, command.strip())
        ports = {"submission": "587", "submissions": "465", "127.0.0.1:10025": "10025"}
        parameters = {}
        for option in options:
            key, _, value = re.sub(r"^\{(.*)\}$", r"\1", option.strip()).partition("=")
            value = re.sub(r"\$(gate_\w+)", lambda match: own.get(match[1], match[0]), value)
            parameters[key.strip()] = list_of(value)
        services[f"{ports.get(name, name)}/{kind}"] = (columns, parameters)
    return services


def dovecot_conf(path: Path) -> dict[str, str]:
    """The settings, each with the blocks that it is in."""
    found: dict[str, str] = {}
    inside: list[str] = []
    for line in path.read_text().splitlines():
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        if words == "}":
            inside.pop()
        elif words.endswith("{"):
            inside.append(words[:-1].strip())
        else:
            name, _, value = words.partition("=")
            found[" / ".join((*inside, name.strip()))] = value.strip().strip('"')
    assert inside == []
    return found


def blocks(path: Path) -> Iterator[str]:
    """The blocks of Dovecot that mean something when they are empty."""
    yield from re.findall(r"^\w.*(?= \{$)", path.read_text(), re.MULTILINE)


def flat(settings: Mapping[str, Any], *above: str) -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from flat(value, *above, name)
        else:
            yield ".".join((*above, name)), value


def test_postfix_has_the_parameters_of_the_image(tmp_path: Path) -> None:
    image = main_cf(rendered("postfix", POSTFIX, tmp_path) / "main.cf")
    ours = main_cf(ETC / "postfix" / "main.cf")
    assert set(differences(ours, image)) == {
        # places of the container
        *("data_directory", "maillog_file", "meta_directory", "queue_directory"),
        *("smtp_tls_CAfile", "smtp_tls_CApath", "smtpd_tls_chain_files"),
        # mail of the machine itself
        *("alias_database", "alias_maps", "local_recipient_maps", "local_transport"),
        *("mailbox_size_limit", "mydestination", "myorigin"),
        # services of a cluster that may be about to start, and a mail store without accounts
        *("lmtp_delivery_status_filter", "lmtp_host_lookup", "smtp_host_lookup"),
        *("address_verify_map", "unverified_recipient_reject_code"),
        *("address_verify_negative_refresh_time", "address_verify_negative_expire_time"),
    }


def test_postfix_has_the_services_of_the_image(tmp_path: Path) -> None:
    out = rendered("postfix", POSTFIX, tmp_path)
    image = master_cf(out / "master.cf", {"gate_redirect_networks": "127.0.0.0/8"})
    own = parse_main_cf((ETC / "postfix" / "main.cf").read_text())
    ours = master_cf(ETC / "postfix" / "master.cf", own)
    assert set(differences(ours, image)) == {"local/unix", "relay/unix", "submission-cleanup/unix"}
    assert image["relay/unix"][1].pop("smtp_delivery_status_filter")
    assert ours["relay/unix"] == image["relay/unix"]
    for services in (ours, image):
        table = services["submission-cleanup/unix"][1].pop("header_checks")
        assert Path(table).name == "submission_headers"
    assert ours["submission-cleanup/unix"] == image["submission-cleanup/unix"]


def test_dovecot_has_the_settings_of_the_image(tmp_path: Path) -> None:
    out = rendered("dovecot", DOVECOT, tmp_path) / "dovecot.conf"
    image, ours = dovecot_conf(out), dovecot_conf(ETC / "dovecot" / "dovecot.conf")
    assert set(differences(ours, image)) == {
        # places
        *("base_dir", "state_dir", "info_log_path", "log_path", "log_timestamp"),
        *("ssl_server_cert_file", "ssl_server_key_file"),
        *(f"{database} lua / lua_file" for database in ("passdb", "userdb")),
        *(f"{database} lua / lua_settings / settings_file" for database in ("passdb", "userdb")),
        *(f"sieve_script {name} / path" for name in ("once", "gate", "spam", "extension")),
        "sieve_execute_bin_dir",
        "namespace inbox / mailbox Junk / sieve_script learn-spam / path",
        "namespace inbox / imapsieve_from Junk / sieve_script learn-ham / path",
        "service quota-warning / executable",
        # the key of doveadm is in a file that root alone can read, wherever it is used
        *("doveadm_api_key", "!include_try /etc/dovecot/doveadm.key"),
        *(f"passdb master / {word}" for word in MASTER),
        # webmail is not on the machine
        "login_trusted_networks",
        # the users and the chroot of Debian
        *("default_internal_group", "default_internal_user", "default_login_user"),
        *("first_valid_gid", "first_valid_uid"),
        *(
            f"service {name} / chroot"
            for name in ("anvil", "imap-login", "pop3-login", "managesieve-login", "lmtp")
        ),
        *("service auth-worker / user", "service quota-warning / user"),
        *(f"service anvil / unix_listener anvil / {word}" for word in ("group", "mode")),
        *(f"service auth / unix_listener auth-userdb / {word}" for word in ("mode", "user")),
        "service quota-warning / unix_listener quota-warning / user",
        # ports: the usual ones, and sockets of Postfix
        "service imap-login / inet_listener imap / port",
        *(f"service imap-login / inet_listener imaps / {word}" for word in ("port", "ssl")),
        "service pop3-login / inet_listener pop3 / port",
        *(f"service pop3-login / inet_listener pop3s / {word}" for word in ("port", "ssl")),
        "service managesieve-login / inet_listener sieve / port",
        "service lmtp / inet_listener lmtp / port",
        "service quota-status / inet_listener postfix / port",
        *(
            f"service {name} / unix_listener /var/spool/{socket} / {word}"
            for name, socket in (
                ("lmtp", "gatepost-dovecot/lmtp"),
                ("quota-status", "postfix/private/dovecot-quota"),
            )
            for word in ("group", "mode", "user")
        ),
        *(f"service {name} / inet_listener http / listen" for name in ("doveadm", "stats")),
    }
    expected = {*blocks(out), "service auth"} - {"passdb master"}
    assert set(blocks(ETC / "dovecot" / "dovecot.conf")) == expected


def test_the_key_of_doveadm_opens_what_it_does_in_the_image(tmp_path: Path) -> None:
    image = dovecot_conf(rendered("dovecot", DOVECOT, tmp_path) / "dovecot.conf")
    page = (ROOT / "docs" / "debian.md").read_text()
    (text,) = re.findall(r"^cat > /etc/dovecot/doveadm\.key <<END\n(.*?)^END$", page, re.M | re.S)
    (tmp_path / "key").write_text(text.replace("$(cat /etc/gatepost/doveadm.key)", "key"))
    names = ("doveadm_api_key", *(f"passdb master / {word}" for word in MASTER))
    assert dovecot_conf(tmp_path / "key") == {name: image[name] for name in names}


def test_gatepost_has_the_settings_of_the_pod() -> None:
    documents = yaml.safe_load_all((ROOT / "k8s" / "mailboxes.yaml").read_text())
    (text,) = (
        found["data"]["gatepost.toml"]
        for found in documents
        if found and "gatepost.toml" in found.get("data", ())
    )
    ours = dict(flat(tomllib.loads((ETC / "gatepost" / "gatepost.toml").read_text())))
    pod = dict(flat(tomllib.loads(text)))
    places = {name for name in {*ours, *pod} if re.search(r"(listen|_file|\.keys|\.url)$", name)}
    assert set(differences(ours, pod)) - places == {
        # defaults
        *("accounts.max_connections", "log.format", "milters.workers", "policyd.store.kind"),
        # the port of IMAP
        "delivery.night.imap",
        "proxy_networks",
        # the folder of a socket decides who may use it
        *("accounts.socket_mode", "milters.socket_mode", "policyd.socket_mode"),
        # the command has everything on one machine, and no webmail
        *("backup.files", "backup.webmail"),
        # places
        *("delivery.spool_folder", "delivery.stores.default"),
    }
    opened = [str(value) for value in ours.values() if str(value).startswith("inet:")]
    assert opened
    assert all(value.endswith("@127.0.0.1") for value in opened), "open to others"
