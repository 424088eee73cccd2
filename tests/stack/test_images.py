"""What is inside the images, and what they say of themselves."""

from __future__ import annotations

import json

import pytest

from tests.testbed import images
from tests.testbed.pod import Network
from tests.testbed.podman import inspect, podman

each = pytest.mark.parametrize("image", images.NAMES)
BUILDERS = ("as", "cc", "cpp", "g++", "gcc", "gdb", "ld", "make", "pip", "pip3", "strip")


READ = {
    "accounts": "/opt/gatepost",
    "clamav": "/usr/share/clamav-image /usr/local/bin",
    "dovecot": "/usr/share/dovecot-image /usr/lib/dovecot-image /usr/local/bin /usr/share/dovecot",
    "gatepost": "/opt/gatepost",
    "postfix": "/usr/share/postfix-image /usr/local/bin",
    "postgres": "/etc/postgresql /usr/local/bin /usr/lib/postgresql /usr/share/postgresql",
    "rspamd": "/etc/rspamd /usr/share/rspamd /usr/share/rspamd-image /usr/local/bin",
    "spamassassin": "/usr/share/spamassassin /usr/share/spamassassin-image /usr/local/bin",
    "valkey": "/etc/valkey /usr/local/bin",
    "webmail": "/etc/lighttpd /etc/php/8.4/cgi /etc/roundcube /usr/local/bin "
    "/usr/share/roundcube /var/lib/roundcube/plugins",
}
"""What each image reads at its start."""

PROGRAMS = {
    "accounts": "python3.13-minimal libpython3.13-stdlib",
    "clamav": "clamav-daemon clamav-freshclam",
    "dovecot": "dovecot-core dovecot-imapd dovecot-flatcurve dovecot-sieve",
    "gatepost": "python3.13-minimal libpython3.13-stdlib",
    "postfix": "postfix postfix-pcre",
    "postgres": "postgresql-17 postgresql-client-17",
    "rspamd": "rspamd libhyperscan5",
    "spamassassin": "spamassassin spamd pyzor razor gpg",
    "valkey": "valkey-server valkey-tools",
    "webmail": "lighttpd php8.4-cgi roundcube-core roundcube-plugins",
}
"""Packages that each image installs and no Debian base has."""

_OPENSSL = (
    "from cryptography.hazmat.backends.openssl import backend as b; print(b.openssl_version_text())"
)


def inside(image: str, script: str) -> str:
    entry = ("--entrypoint=sh", "--user=0", "--network=none", "--read-only")
    return podman("run", "--rm", *entry, images.tag(image), "-c", script)


@each
def test_nothing_can_be_built_with_what_is_in_it(network: Network, image: str) -> None:
    script = f"for each in {' '.join(BUILDERS)}; do command -v $each; done; true"
    assert inside(image, script) == ""
    assert inside(image, "find /usr/include /usr/lib/gcc -type f 2>/dev/null | head -3") == ""


@each
def test_the_bill_of_materials_has_what_is_installed_and_no_more(
    network: Network, image: str
) -> None:
    bill = json.loads(inside(image, "cat /usr/share/gatepost.cdx.json"))
    parts = bill["components"]
    packages = [one for one in parts if one["purl"].startswith(("pkg:deb/", "pkg:pypi/"))]
    named = {f"{one['name']} {one['version']}" for one in packages}
    debian = inside(image, "dpkg-query -W -f '${Package} ${Version}\\n'").splitlines()
    python = ""
    if image in ("accounts", "gatepost"):
        python = inside(
            image,
            "/opt/gatepost/bin/python -c 'import importlib.metadata as m;"
            '[print(d.name.lower().replace("_", "-"), d.version) for d in m.distributions()]\'',
        )
        assert "gatepost 0.1.0" in python
        told = inside(image, f"/opt/gatepost/bin/python -c '{_OPENSSL}'").split()[1]
        # cryptography brings its own, which dpkg does not know of
        (openssl,) = (one for one in parts if one["purl"].startswith("pkg:generic/openssl@"))
        assert openssl["version"] == told
    assert named == {*debian, *python.splitlines()}


@each
def test_the_labels_say_what_it_is(network: Network, image: str) -> None:
    labels = inspect("image", images.tag(image))["Labels"]
    names = ("title", "description", "source", "documentation", "licenses", "base.name")
    for name in (*names, "version", "revision", "created"):
        assert labels[f"org.opencontainers.image.{name}"], name
    assert labels["org.opencontainers.image.documentation"].endswith(f"/images/{image}/README.md")


@each
def test_what_it_reads_at_its_start_is_open_to_any_user(network: Network, image: str) -> None:
    closed = inside(image, f"find {READ[image]} ! -type l ! -perm -o=r")
    assert closed == ""


@each
def test_the_licences_come_with_the_programs_and_no_manual(network: Network, image: str) -> None:
    folders = " ".join(f"/usr/share/doc/{name}/" for name in PROGRAMS[image].split())
    found = inside(image, f"find {folders} -type f -size +0").split()
    assert sorted(found) == sorted(f"{folder}copyright" for folder in folders.split())


@each
def test_the_words_of_the_build_are_gone(network: Network, image: str) -> None:
    script = (
        "find /usr/local/lib /var/lib/apt/lists /var/cache/apt /var/log/apt -type f 2>/dev/null"
    )
    assert inside(image, f"{script}; true") == ""
