"""Every main.cf that we print or ship has what docs/install.md recommends."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from gatepost.cli.__main__ import gatepost
from tests.testbed.documented import main_cf_block, main_cf_blocks, parse_main_cf

ROOT = Path(__file__).parents[3]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("images/**/*.md")),
]
PROTECTION = {
    "smtpd_forbid_bare_newline": "normalize",
    "smtpd_data_restrictions": "reject_unauth_pipelining",
}
ADDRESSES = {"smtpd_milters", "non_smtpd_milters"}
"""Parameters that the image has from its settings."""


def words(value: str) -> list[str]:
    return value.replace(",", " ").split()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_keeps_a_second_message_out(page: Path) -> None:
    for block in main_cf_blocks(page):
        assert {name: block.get(name) for name in PROTECTION} == PROTECTION


def test_the_blocks_are_found() -> None:
    found = {page.name for page in PAGES if any(main_cf_blocks(page))}
    assert {"README.md", "install.md", "milters.md", "policyd.md"} <= found


def test_the_readme_says_what_install_says() -> None:
    assert main_cf_block(ROOT / "README.md") == main_cf_block(ROOT / "docs/install.md")


def test_the_image_has_what_install_recommends() -> None:
    recommended = main_cf_block(ROOT / "docs/install.md")
    shipped = parse_main_cf((ROOT / "images/postfix/main.cf").read_text())
    recipient = recommended.pop("smtpd_recipient_restrictions").partition("check_policy")[0]
    data = recommended.pop("smtpd_data_restrictions")
    assert {name: shipped.get(name) for name in recommended.keys() - ADDRESSES} == {
        name: value for name, value in recommended.items() if name not in ADDRESSES
    }
    # restrictions: the same in the same order, and more
    mine = words(shipped["smtpd_recipient_restrictions"])
    assert [word for word in mine if word in words(recipient)] == words(recipient)
    assert mine.index("$gate_policy_restriction") > mine.index("reject_unauth_destination")
    assert words(shipped["smtpd_data_restrictions"])[0] == data


def test_every_single_line_that_install_names_is_in_the_image() -> None:
    """Also those that stand in its text: `parameter = value`."""
    text = (ROOT / "docs/install.md").read_text().partition("## Postfix\n")[2]
    text = re.split(r"\n##+ ", text)[0]
    shipped = parse_main_cf((ROOT / "images/postfix/main.cf").read_text())
    for name, value in re.findall(r"`([a-z_]+) = ([^`]+)`", text):
        assert words(value)[0] in words(shipped.get(name, "")), name


@pytest.mark.parametrize("command", [[], ["policyd"]])
def test_the_help_texts_have_the_two_lines(command: list[str]) -> None:
    printed = CliRunner().invoke(gatepost, [*command, "--help"]).output
    for name, value in PROTECTION.items():
        assert f"{name} = {value}" in printed


def test_manifests_and_chart_set_nothing_against_it() -> None:
    for path in [*(ROOT / "k8s").rglob("*.yaml"), ROOT / "images/postfix/bin/render"]:
        text = path.read_text()
        assert not re.search(r"smtpd_forbid_bare_newline\s*[=:]\s*no", text), path
        assert not re.search(r"smtpd_data_restrictions\s*=", text), path
