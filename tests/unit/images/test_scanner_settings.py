"""`render` of the scanners' images: settings become configuration, and bad ones have a reason."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

IMAGES = Path(__file__).resolve().parents[3] / "images"
PASSWORD = "correct-horse-battery"

NEEDED: Mapping[str, Mapping[str, str]] = {
    "clamav": {},
    "rspamd": {"RSPAMD_VALKEY": "127.0.0.1:6379"},
    "spamassassin": {"SPAM_AUTHSERV_ID": "mx.example.org"},
}
SOURCES = {"clamav": "", "rspamd": "", "spamassassin": "site"}


class Rendered:
    """`render` of an image with a folder of settings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config"
        self.config.mkdir()
        (self.config / "password").write_text(f"{PASSWORD}\n")
        self.data = folder / "data"
        self.data.mkdir()
        programs = folder / "programs"
        programs.mkdir()
        # as the one of Rspamd prints a hash
        (programs / "rspamadm").write_text("#!/bin/sh\necho '$2$salt$hash'\n")
        (programs / "rspamadm").chmod(0o755)
        self._path = f"{programs}:{os.environ['PATH']}"

    def run(self, image: str, **settings: str) -> subprocess.CompletedProcess[str]:
        out = self.folder / "out"
        out.mkdir(exist_ok=True)
        return subprocess.run(
            ["bash", IMAGES / image / "bin" / "render", out],
            env={
                "PATH": self._path,
                "GATE_CONFIG": str(self.config),
                "GATE_IMAGE": str(IMAGES / image / SOURCES[image]),
                "GATE_DATA": str(self.data),
                **NEEDED[image],
                **settings,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def text(self, name: str) -> str:
        return (self.folder / "out" / name).read_text()


@pytest.fixture
def rendered(tmp_path: Path) -> Rendered:
    return Rendered(tmp_path)


@pytest.mark.parametrize(
    ("image", "name", "value", "reason"),
    [
        ("clamav", "CLAMAV_LISTEN", "localhost", "CLAMAV_LISTEN is 'localhost': write an address"),
        ("clamav", "CLAMAV_STREAM_MAX", "much", "'much': write a size, such as 30M"),
        ("clamav", "CLAMAV_THREADS", "0", "write a whole number from 1 to 100"),
        ("clamav", "CLAMAV_MIRROR", "mirror", "CLAMAV_MIRROR: 'mirror' is no URL"),
        ("clamav", "CLAMAV_OFFICIAL", "no", "name your own signatures in CLAMAV_URLS"),
        ("rspamd", "RSPAMD_VALKEY", "", "RSPAMD_VALKEY is not set"),
        ("rspamd", "RSPAMD_VALKEY", 'x:1";', "write host and port, such as 127.0.0.1:6379"),
        ("rspamd", "RSPAMD_SCORE", "low", "RSPAMD_SCORE is 'low': write a score"),
        ("rspamd", "RSPAMD_FUZZY", "maybe", "RSPAMD_FUZZY is 'maybe': write yes or no"),
        ("spamassassin", "SPAM_AUTHSERV_ID", "", "SPAM_AUTHSERV_ID is not set"),
        ("spamassassin", "SPAM_AUTHSERV_ID", "a b", "SPAM_AUTHSERV_ID is 'a b': write a name"),
        (
            "spamassassin",
            "SPAM_SCORE",
            "5\nallow_user_rules 1",
            "SPAM_SCORE has more than one line",
        ),
        ("spamassassin", "SPAM_CHILDREN", "many", "write a whole number from 1 to 100"),
        ("spamassassin", "SPAM_CLIENTS", "0.0.0.0/0", "0.0.0.0/0 is the whole Internet"),
        ("spamassassin", "SPAM_CLIENTS", "", "SPAM_CLIENTS is empty"),
        ("spamassassin", "SPAM_NETWORKS", "example.org", "'example.org' is no network"),
        ("spamassassin", "SPAM_PYZOR", "on", "SPAM_PYZOR is 'on': write yes or no"),
        ("spamassassin", "SPAM_PYZOR_SERVER", "pyzor", "write host and port"),
    ],
)
def test_a_bad_setting_ends_it_with_the_reason(
    rendered: Rendered, image: str, name: str, value: str, reason: str
) -> None:
    done = rendered.run(image, **{name: value})
    assert done.returncode == 1
    assert reason in done.stderr


@pytest.mark.parametrize("image", NEEDED)
def test_it_listens_on_loopback_unless_told_otherwise(rendered: Rendered, image: str) -> None:
    done = rendered.run(image)
    assert done.returncode == 0, done.stderr
    file, line = {
        "clamav": ("clamd.conf", "TCPAddr 127.0.0.1"),
        "rspamd": ("override.d/worker-controller.inc", 'bind_socket = "127.0.0.1:11334";'),
        "spamassassin": ("spamd", "--listen=127.0.0.1"),
    }[image]
    assert line in rendered.text(file).splitlines()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: put the password of Rspamd there"),
        ("", "is empty: without a password, everybody could teach Rspamd"),
        ("\n", "is empty: without a password, everybody could teach Rspamd"),
        ("short\n", "the password is shorter than 12 characters"),
        ('correct"; secure_ip = "0.0.0.0/0\n', "the password may only have letters"),
    ],
)
def test_rspamd_does_not_start_without_a_password(
    rendered: Rendered, content: str | None, reason: str
) -> None:
    (rendered.config / "password").unlink()
    if content is not None:
        (rendered.config / "password").write_text(content)
    done = rendered.run("rspamd")
    assert done.returncode == 1
    assert reason in done.stderr


def test_rspamd_trusts_no_address_and_has_the_hash_alone(rendered: Rendered) -> None:
    assert rendered.run("rspamd").returncode == 0
    controller = rendered.text("override.d/worker-controller.inc")
    assert "secure_ip = [];" in controller
    assert controller.count('password = "$2$salt$hash";') == 2
    for file in (rendered.folder / "out").rglob("*.*"):
        assert file.is_dir() or PASSWORD not in file.read_text()
        assert file.stat().st_mode & 0o077 == 0 or file.parent.name == "local.d"


def test_an_override_does_not_take_the_password_of_rspamd_away(rendered: Rendered) -> None:
    (rendered.config / "worker-controller.inc").write_text('secure_ip = "127.0.0.1";\n')
    done = rendered.run("rspamd")
    assert done.returncode == 1
    assert "the workers belong to the image" in done.stderr


def test_what_asks_others_is_off_by_default(rendered: Rendered) -> None:
    assert rendered.run("spamassassin").returncode == 0
    loaded = rendered.text("site/gatepost.pre")
    for plugin in ("Pyzor", "Razor2", "DNSEval", "URIDNSBL", "SPF", "DKIM", "DMARC"):
        assert f"Plugin::{plugin}\n" not in loaded
    assert "dns_available no" in rendered.text("site/20_settings.cf")
    on = {f"SPAM_{name}": "yes" for name in ("PYZOR", "RAZOR", "DNS_LISTS", "LANGUAGES")}
    assert rendered.run("spamassassin", **on).returncode == 0
    loaded = rendered.text("site/gatepost.pre")
    for plugin in ("Pyzor", "Razor2", "DNSEval", "URIDNSBL", "TextCat"):
        assert f"Plugin::{plugin}\n" in loaded
    settings = rendered.text("site/20_settings.cf").splitlines()
    assert {"pyzor_timeout 2", "razor_timeout 3", "dns_available yes"} <= set(settings)


def test_the_rules_of_the_package_are_used_until_there_are_others(rendered: Rendered) -> None:
    assert rendered.run("spamassassin").returncode == 0
    link = rendered.folder / "out" / "rules"
    assert link.readlink() == Path("/usr/share/spamassassin")
    rules = rendered.data / "rules"
    (rules / "20261127T000000Z.1").mkdir(parents=True)
    (rules / "current").symlink_to("20261127T000000Z.1")
    assert rendered.run("spamassassin").returncode == 0
    assert link.readlink() == rules / "20261127T000000Z.1"


def test_overrides_come_after_ours(rendered: Rendered) -> None:
    (rendered.config / "site.cf").write_text("score GP_SPF_FAIL 3\n")
    (rendered.config / "SPAM_SCORE").write_text(" 6.5\n")
    assert rendered.run("spamassassin", SPAM_SCORE="4").returncode == 0
    site = sorted(path.name for path in (rendered.folder / "out" / "site").glob("*.cf"))
    assert site == ["10_gatepost.cf", "20_settings.cf", "90_site.cf"]
    assert "required_score 6.5" in rendered.text("site/20_settings.cf").splitlines()


def test_an_override_of_clamav_comes_first_because_the_first_counts(rendered: Rendered) -> None:
    (rendered.config / "clamd.conf").write_text("MaxThreads 9")
    done = rendered.run("clamav", CLAMAV_MIRROR="https://a.example/db https://b.example/db")
    assert done.returncode == 0
    assert rendered.text("clamd.conf").splitlines()[0] == "MaxThreads 9"
    mirrors = [line for line in rendered.text("freshclam.conf").splitlines() if "Mirror " in line]
    assert mirrors == ["PrivateMirror https://a.example/db", "PrivateMirror https://b.example/db"]
