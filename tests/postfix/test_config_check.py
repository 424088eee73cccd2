"""`gatepost config check --postfix` with the real postconf."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.testbed.documented import main_cf_block

ROOT = Path(__file__).parents[2]
GATEPOST = Path(sys.executable).with_name("gatepost")
MASTER = Path("/usr/share/postfix/master.cf.dist")
PAGES = ["README.md", "docs/install.md", "docs/milters.md"]
GROUND = 'hostname = "mail.example.org"\n[milters]\nkeys = "{keys}"\n'
STORE = '[policyd.store]\npath = "{keys}/policyd.sqlite"\n'
# the addresses of the documentation: below the chroot of Postfix, and over TCP
TOML = GROUND + "listen = ['unix:/var/spool/postfix/gatepost/milter', 'inet:8891@127.0.0.1']\n"
POLICYD = (
    "[policyd]\n"
    "listen = ['unix:/var/spool/postfix/gatepost/policyd', 'inet:10023@127.0.0.1']\n" + STORE
)


class Checked:
    """The folder of a Postfix, and what the command says of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.master = MASTER.read_text()
        self.main: dict[str, str] = {"compatibility_level": "3.6"}
        self.toml = TOML

    def run(self, *options: str) -> tuple[int, list[str]]:
        """The exit status, and the lines behind the first, which is about gatepost.toml."""
        (self.folder / "master.cf").write_text(self.master)
        text = "".join(f"{name} = {value}\n" for name, value in self.main.items())
        (self.folder / "main.cf").write_text(text)
        return self.look(*options)

    def look(self, *options: str) -> tuple[int, list[str]]:
        for path in self.folder.glob("*.cf"):
            os.utime(path, times=(0, 0))  # Postfix waits with what has just been written
        config = self.folder / "gatepost.toml"
        config.write_text(self.toml.format(keys=self.folder))
        done = subprocess.run(
            [GATEPOST, "config", "check", "--config", config, "-c", self.folder, *options],
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=50,
        )
        assert "Traceback" not in done.stderr
        # what it says of gatepost.toml alone is not of interest here
        errors = [line for line in done.stderr.splitlines() if not line.startswith(f"{config}: ")]
        lines = done.stdout.splitlines()[1:] + errors
        return done.returncode, lines


@pytest.fixture
def checked(tmp_path: Path) -> Checked:
    return Checked(tmp_path)


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_found_in_what_the_documentation_prints(checked: Checked, page: str) -> None:
    checked.main |= main_cf_block(ROOT / page)
    if "smtpd_recipient_restrictions" in checked.main:
        checked.toml += POLICYD
    assert checked.run() == (0, ["Postfix: ok"])


UNPROTECTED = {"smtpd_forbid_bare_newline": "no", "smtpd_forbid_unauth_pipelining": "no"}
"""Defaults of Debian 12; Postfix 3.9 and later have others."""


@pytest.mark.parametrize("line", sorted(main_cf_block(ROOT / "README.md")))
def test_each_line_of_the_readme_is_missed(checked: Checked, line: str) -> None:
    checked.main |= main_cf_block(ROOT / "README.md")
    checked.toml += POLICYD
    del checked.main[line]
    if line == "milter_default_action":  # tempfail is what Postfix does without it
        checked.main[line] = "accept"
    checked.main = UNPROTECTED | checked.main
    _, lines = checked.run()
    assert any(f": {line}: " in text for text in lines), lines


SETTINGS = {
    "POSTFIX_HOSTNAME": "mail.example.org",
    "POSTFIX_DOMAINS": "example.org",
    "POSTFIX_NEXT_HOP": "smtp:[192.0.2.9]:25",
}


@pytest.mark.parametrize(
    ("milters", "policyd", "toml"),
    [
        ("inet:milters:8891", "inet:policyd:10023", GROUND + "listen = 'inet:8891'\n" + STORE),
        (
            "unix:/run/gatepost/milter.sock",
            "unix:/run/gatepost/policyd.sock",
            GROUND
            + "listen = 'unix:/run/gatepost/milter.sock'\n"
            + STORE.replace("[", "[policyd]\nlisten = 'unix:/run/gatepost/policyd.sock'\n[", 1),
        ),
    ],
    ids=["tcp", "unix"],
)
@pytest.mark.parametrize("submission", [False, True])
def test_nothing_is_found_in_the_image(
    checked: Checked, tmp_path: Path, milters: str, policyd: str, toml: str, submission: bool
) -> None:
    image = ROOT / "images/postfix"
    settings = {**SETTINGS, "POSTFIX_MILTERS": milters, "POSTFIX_POLICY": policyd}
    tls = tmp_path / "tls"
    tls.mkdir()
    if submission:
        settings |= {"POSTFIX_SASL": "inet:dovecot:12345", "POSTFIX_PROXY": "yes"}
        (tls / "tls.key").touch()
        (tls / "tls.crt").touch()
    render(image, checked.folder, {**settings, "GATE_TLS": str(tls)})
    assert ("465 inet" in (checked.folder / "master.cf").read_text()) == submission
    checked.toml = toml
    assert checked.look() == (0, ["Postfix: ok"])


def test_nothing_is_found_in_the_image_with_accounts(checked: Checked, tmp_path: Path) -> None:
    for name in ("tls.key", "tls.crt"):
        (tmp_path / name).touch()
    settings = {
        "POSTFIX_HOSTNAME": "mail.example.org",
        "POSTFIX_ACCOUNTS": "inet:accounts:10030",
        "POSTFIX_SASL": "inet:accounts:12345",
        "POSTFIX_NEXT_HOP": "lmtp:inet:dovecot:24",
        "POSTFIX_QUOTA": "inet:dovecot:12340",
        "POSTFIX_REDIRECT_NETWORKS": "10.89.0.7/32",
        "POSTFIX_MILTERS": "inet:milters:8891",
        "POSTFIX_POLICY": "inet:policyd:10023",
        "GATE_TLS": str(tmp_path),
    }
    render(ROOT / "images/postfix", checked.folder, settings)
    # a parameter of Postfix 3.10
    master = checked.folder / "master.cf"
    master.write_text(master.read_text().replace("    -o smtpd_hide_client_session=yes\n", ""))
    checked.toml = GROUND + "listen = 'inet:8891'\n" + STORE
    assert checked.look() == (0, ["Postfix: ok"])


def render(image: Path, folder: Path, settings: Mapping[str, str]) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "GATE_CONFIG": "/nonexistent",
        "GATE_IMAGE": str(image),
        **settings,
    }
    subprocess.run(["bash", image / "bin/render", folder], env=environment, check=True)
    # the image's Postfix is newer than that of Debian 12
    main = folder / "main.cf"
    main.write_text(main.read_text().replace("level = 3.10", "level = 3.6"))


def test_services_of_master_cf_with_their_own_parameters(checked: Checked) -> None:
    checked.main |= main_cf_block(ROOT / "README.md")
    checked.main["mua_milters"] = "inet:127.0.0.1:8891"
    checked.main["mua_action"] = "tempfail"
    checked.main["milter_default_action"] = "$mua_action"
    checked.toml += POLICYD
    checked.master += (
        "submission inet n - y - - smtpd\n"
        "  -o { smtpd_milters = $mua_milters, inet:127.0.0.1:11332 }\n"
        "  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject\n"
        "465 inet n - y - - smtpd -o smtpd_milters=\n"
        "587 inet n - y - - smtpd\n  -o mua_action=accept\n"
        "127.0.0.1:10025 inet n - n - - smtpd\n"
        "  -o receive_override_options=no_milters -o mua_action=accept\n"
    )
    status, lines = checked.run()
    assert status == 2
    assert [" ".join(line.split()[:5]).rstrip(":") for line in lines] == [
        "error: master.cf 465/inet: smtpd_milters: it",
        "error: master.cf 587/inet: milter_default_action: it",
    ]


def test_debian_12_as_it_is(checked: Checked) -> None:
    checked.main = UNPROTECTED | checked.main
    status, lines = checked.run()
    assert status == 2
    assert [line.split(": ")[2] for line in lines if line.startswith("error")] == [
        "smtpd_forbid_bare_newline",
        "smtpd_milters",
    ]


def test_tables_of_a_database_are_not_asked(checked: Checked) -> None:
    checked.main |= main_cf_block(ROOT / "README.md")
    checked.main["virtual_alias_maps"] = "proxy:mysql:/nonexistent/aliases.cf"
    checked.main["relay_domains"] = "ldap:/nonexistent/domains.cf nosuch:table"
    checked.main["smtpd_sender_restrictions"] = "check_sender_access mysql:/nonexistent/a.cf"
    checked.toml += POLICYD
    assert checked.run() == (0, ["Postfix: ok"])


def test_what_postfix_cannot_read_is_one_line(checked: Checked) -> None:
    checked.main["smtpd_milters"] = "$smtpd_milters"
    status, lines = checked.run()
    assert (status, len(lines)) == (1, 1)
    assert lines[0].startswith("gatepost: postconf cannot read the configuration of Postfix: ")
    # one that concerns nothing of ours does not disturb
    checked.main = {"round": "$round"} | main_cf_block(ROOT / "README.md")
    checked.toml += POLICYD
    assert checked.run() == (0, ["Postfix: ok"])
    checked.master = "smtp inet n\n"
    status, lines = checked.run()
    assert (status, len(lines)) == (1, 1)
    (checked.folder / "master.cf").unlink()
    status, lines = checked.look()
    assert (status, len(lines)) == (1, 1)


def test_a_bad_gatepost_toml_comes_first(checked: Checked) -> None:
    checked.toml = "[milters]\nlisten = 1\n"
    status, lines = checked.run()
    assert status == 2
    (line,) = lines
    assert "milters.listen" in line
