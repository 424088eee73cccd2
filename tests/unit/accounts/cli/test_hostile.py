"""Bad input in every place: one line, nothing is written, and the audit log has it."""

from __future__ import annotations

import pytest

from tests.unit.accounts.cli.shell import Shell

ANNA = "anna@example.org"

BAD_LOCALS = [
    "",
    " ",
    "a b",
    "a\0b",
    "../../etc/passwd",
    "..",
    "a..b",
    ".a",
    "-a",
    "a/b",
    "a\nb",
    "a\x1b[2J",
    "'; DROP TABLE mailbox; --",
    "<script>alert(1)</script>",
    '"quoted"',
    "x" * 65,
    "x" * 300,
    "x" * 10_000,
    "a\u202eb",
    "\u2460",
    "ﬁ",
    "a\udcff",
]
BAD_DOMAINS = [
    "",
    ".",
    "a b",
    "a\0b",
    "../etc",
    "a..b",
    "-a.example",
    "a-.example",
    "under_score.example",
    "192.0.2.1",
    "'; DROP TABLE domain; --",
    "<b>",
    "a" * 64 + ".example",
    "a." * 150 + "example",
    "xn--a.example\n",
    "a\udcff.example",
    "*.example.org",
    "a@b",
]
FREE = [
    "'; DROP TABLE mailbox; --",
    "<script>alert('Ω')</script>",
    "../../etc/passwd",
    "%s%n$(id)`id`",
    "ÄÖÜ 日本 😀",
    '{"a": 1}',
]
BAD_TEXTS = ["a\0b", "a\nb", "\x1b[2J", "a\u202eb", "x" * 1001, "x" * 100_000, "a\udcff"]


def refused(shell: Shell, *words: str) -> None:
    before = shell.tables()
    text = shell.error(*words)
    assert len(text) < 700
    after = shell.tables()
    *entries, last = after.pop("audit")
    assert entries == before.pop("audit")
    assert "refused" in last[-1]
    assert after == before


@pytest.mark.parametrize("local", BAD_LOCALS, ids=ascii)
def test_a_bad_address_is_refused(filled: Shell, local: str) -> None:
    address = f"{local}@example.org"
    refused(filled, "user", "add", "--no-password", "--", address)
    refused(filled, "user", "rename", "--", ANNA, address)
    refused(filled, "alias", "add", "--", address, ANNA)
    filled.error("user", "show", "--", address)
    filled.error("alias", "show", "--", address)
    refused(filled, "user", "remove", "--yes", "--", address)


@pytest.mark.parametrize("name", BAD_DOMAINS, ids=ascii)
def test_a_bad_domain_is_refused(filled: Shell, name: str) -> None:
    refused(filled, "domain", "add", "--", name)
    refused(filled, "domain", "remove", "--yes", "--", name)
    refused(filled, "domain", "set", "example.org", "--alias-of", name)
    filled.error("domain", "show", "--", name)
    filled.error("user", "list", "--domain", name)


@pytest.mark.parametrize("text", FREE, ids=ascii)
def test_text_is_text(filled: Shell, text: str) -> None:
    made = filled.json("domain", "set", "example.org", "--description", text)
    assert made["description"] == text
    assert filled.json("user", "set", ANNA, "--display-name", text)["display_name"] == text
    assert [one["address"] for one in filled.json("user", "list", "--search", text)] == [ANNA]
    assert filled.json("alias", "add", "a@example.org", ANNA, "--description", text)
    assert filled.json("app-password", "add", ANNA, text)["name"] == text
    assert filled.json("token", "add", text, "--scope", "all:read")["name"] == text
    assert filled.json("user", "list", "--search", f"{text}%") == []
    for words in (("domain", "list"), ("user", "list"), ("alias", "list")):
        assert filled.run(*words)


@pytest.mark.parametrize("text", BAD_TEXTS, ids=lambda text: ascii(text[:20]))
def test_text_of_several_lines_or_without_end_is_refused(filled: Shell, text: str) -> None:
    refused(filled, "domain", "set", "example.org", "--description", text)
    refused(filled, "user", "set", ANNA, "--display-name", text)
    refused(filled, "alias", "add", "a@example.org", ANNA, "--description", text)
    refused(filled, "app-password", "add", "--", ANNA, text)
    refused(filled, "token", "add", "--scope", "all:read", "--", text)


@pytest.mark.parametrize(
    "words",
    [
        ("domain", "set", "example.org", "--transport", "smtp:[x]\nnext"),
        ("domain", "set", "example.org", "--catch-all", "x"),
        ("domain", "set", "example.org", "--max-quota", "99999999999G"),
        ("domain", "set", "example.org", "--max-mailboxes", "9" * 18),
        ("user", "set", ANNA, "--store", "../x"),
        ("user", "set", ANNA, "--forwards", "|/bin/sh"),
        ("user", "set", ANNA, "--forwards", ANNA),
        ("user", "set", ANNA, "--send-as", "x"),
        ("user", "set", ANNA, "--spam-junk-score", "nan"),
        ("user", "set", ANNA, "--spam-junk-score", "1e9"),
        ("user", "set", ANNA, "--block-sender", "\x07@x"),
        ("alias", "add", "a@example.org", "/etc/passwd"),
        ("alias", "add", "a@example.org", "a\0@example.net"),
        ("alias", "add", "a@example.org", *(f"u{n}@example.net" for n in range(251))),
        ("alias", "add", "a@example.org", ANNA, "--expires", "0001-01-01"),
        ("admin", "add", "a b", "--no-password"),
        ("admin", "add", "x" * 65, "--no-password"),
        ("admin", "add", "root", "--no-password", "--domains", "x y"),
        ("token", "add", "x", "--scope", "a b"),
        ("token", "add", "x", "--scope", "all:read", "--user", "no@example.org"),
        ("setup", "quota", "set", "no@example.org", "1G"),
        ("setup", "addmailalias", "a b", "example.org", "anna", "example.org"),
    ],
    ids=lambda words: ascii(" ".join(words)[:60]),
)
def test_a_bad_value_is_refused(filled: Shell, words: tuple[str, ...]) -> None:
    refused(filled, *words)


def test_one_spelling_of_each_address(filled: Shell) -> None:
    filled.domain("bücher.example")
    made = filled.json("user", "add", "JÖRG@BÜCHER.example", "--no-password")
    assert made["address"] == "jörg@xn--bcher-kva.example"
    again = "jo\N{COMBINING DIAERESIS}rg@xn--bcher-kva.EXAMPLE."
    assert filled.json("user", "show", again)["address"] == made["address"]
    assert "already" in filled.error("user", "add", again, "--no-password")
    assert "jörg@xn--bcher-kva.example" in filled.run("user", "list")
