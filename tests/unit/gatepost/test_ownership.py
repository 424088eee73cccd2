"""Ownership of sender addresses: one table and one rule for both daemons."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gatepost.config import ConfigError, load
from gatepost.ownership import (
    OwnerSettings,
    OwnershipError,
    SenderRights,
    parse_owned,
    read_owned,
    read_rights,
)
from milters.file import MiltersFile
from milters.ownership import FromOwnership
from milters.ownership import FromOwnershipSettings as MilterSettings
from msgauth.mail_address import MailAddress
from policyd.settings import OwnershipSettings as PolicySettings

OWNERS = (
    "info@example.org alice, bob@example.org",
    "info+press@example.org dora",
    "@example.org carol",
    "@sales.example carol",
    "@bücher.example eva@bücher.example",
    "@open.example *",
    "closed@open.example carol,*",
    "user@[192.0.2.1] alice",
)


def rights(*owners: str, **settings: Any) -> SenderRights:
    return read_rights(OwnerSettings.model_validate({"owners": owners or OWNERS, **settings}))


def may_use(login: str, sender: str, **settings: Any) -> bool:
    return rights(**settings).may_use(login, MailAddress.parse(sender))


@pytest.mark.parametrize(
    ("login", "sender", "allowed"),
    [
        ("alice", "info@example.org", True),
        ("ALICE", "Info@Example.ORG", True),
        ("bob@EXAMPLE.org", "info@example.org.", True),
        # several owners, an extension, and a line of its own for one
        ("alice", "info+list@example.org", True),
        ("alice", "info+press@example.org", False),
        ("dora", "info+press@example.org", True),
        # a line of its own hides that of the domain, as in Postfix
        ("carol", "other@example.org", True),
        ("carol", "info@example.org", False),
        ("carol", "x@sub.sales.example", False),
        # quotes mean nothing; an empty local part is not the whole domain's
        ("alice", '"info"@example.org', True),
        ("alice", '"in\\fo"@example.org', True),
        # Postfix takes a route out of quotes and then removes it
        ("carol", '"@x:info"@example.org', False),
        ("alice", '"@x:info"@example.org', True),
        ("carol", "@x:info@example.org", False),
        ("carol", '"@x,@y:@z:info+list"@example.org', False),
        ("carol", '"@x:\\"info\\""@example.org', False),
        ("carol", '"@x:other"@example.org', True),
        ("carol", '"@x:"@example.org', False),
        ("@x:info@example.org", "info@example.org", False),
        # domains in any script, of senders and of logins
        ("eva@xn--bcher-kva.example", "x@BÜCHER.example", True),
        ("eva@bücher.example", "x@xn--bcher-kva.example", True),
        ("eva", "x@bücher.example", False),
        # any other login: one that no line names
        ("zoe", "x@open.example", True),
        ("alice", "x@open.example", False),
        ("carol", "closed@open.example", True),
        ("alice", "user@[192.0.2.1]", True),
        ("carol", "user@[192.0.2.1]", False),
        # a login owns itself, also where a line names others
        ("info@example.org", "info@example.org", True),
        ("zoe@example.com", "zoe+x@example.com", True),
        ("zoe@example.com", "+x@example.com", False),
        ("zoe+x@example.com", "zoe@example.com", False),
        ("zoe", "zoe", True),
        ("zoe@", "zoe@bücher.example", False),
        ("@sales.example", "x@sales.example", False),
        ("@sales.example", "@sales.example", False),
        ("", "x@open.example", False),
        ("sales.example", "@sales.example", False),
        ("carol", "sales.example", False),
        ("carol", "a@exa mple", False),
        ("carol", "", False),
    ],
)
def test_who_may_use_a_sender(login: str, sender: str, allowed: bool) -> None:
    assert may_use(login, sender) is allowed


def test_a_sender_whose_local_part_is_not_known_is_owned_with_all_of_its_domain() -> None:
    unknown = MailAddress("", "example.org", "@example.org")
    assert not rights("@example.org a", "b@example.org b").may_use("a", unknown)
    assert rights("@example.org a", "b@example.org b, a").may_use("a", unknown)
    assert not rights("a@example.org a").may_use("a", unknown)
    assert rights("@example.org *", "b@example.org *").may_use("a", unknown)
    assert not rights("@example.org *", "b@example.org b").may_use("a", unknown)
    quoted = MailAddress.parse('""@example.org')
    assert not rights("@example.org a", "b@example.org b").may_use("a", quoted)


@pytest.mark.parametrize(
    ("delimiter", "sender", "allowed"),
    [
        ("+", "info-x@example.net", False),
        ("-", "info-x@example.net", True),
        ("-+", "info-x+y@example.net", True),
        ("-+", "info+x-y@example.net", True),
        ("", "info+x@example.net", False),
        ("-", "owner-list@example.net", False),
        ("-", "list-request@example.net", False),
        ("-", "mailer-daemon@example.net", False),
        ("+", "owner+list@example.net", True),
        ("]", "info]x@example.net", True),
        # an address that begins with a delimiter has no extension at all
        ("+", "+sales+x@example.net", False),
        ("-+", "+sales-x@example.net", False),
        ("+", "+sales@example.net", True),
        ("+", "info+@example.net", True),
    ],
)
def test_extensions_are_those_of_postfix(delimiter: str, sender: str, allowed: bool) -> None:
    names = ("info", "owner", "list", "mailer", "+sales")
    owners = [f"{name}@example.net alice" for name in names]
    assert may_use("alice", sender, owners=owners, recipient_delimiter=delimiter) is allowed


@pytest.mark.parametrize("delimiter", ["a", "@", " ", "+1", "_"])
def test_no_delimiter(delimiter: str) -> None:
    with pytest.raises(ValidationError, match="write punctuation"):
        OwnerSettings(recipient_delimiter=delimiter)


def test_a_login_that_does_not_own_itself() -> None:
    for sender in ("zoe@example.com", "zoe+x@example.com"):
        assert not may_use("zoe@example.com", sender, login_owns_itself=False)


@pytest.mark.parametrize(
    "line",
    [
        *("alice", "", "info@example.org", "info alice", "@ a", "a@exa..mple b"),
        *("@[192.0.2.1] a", "*@example.org a", '""@example.org a'),
        *("@x:info@example.org a", '"@x:info"@example.org a'),
    ],
)
def test_no_line(line: str) -> None:
    with pytest.raises(OwnershipError):
        parse_owned(line)


def test_a_file_as_postfix_and_the_policy_server_have_read_it(tmp_path: Path) -> None:
    path = tmp_path / "owners"
    path.write_text(
        "# who may send as whom\n\n"
        "  first@example.org\talice\n"
        "info@example.org alice,  # and\n"
        "   bob,\n"
        "\tzoe@example.org\n"
        "info@example.org carol\n"
    )
    table = read_rights(OwnerSettings(owners_files=(path,)))
    info = MailAddress.parse("info@example.org")
    for login, allowed in (("alice", 1), ("bob", 1), ("zoe@example.org", 1), ("carol", 1), ("", 0)):
        assert table.may_use(login, info) is bool(allowed)
    assert table.may_use("alice", MailAddress.parse("first@example.org"))
    assert not table.may_use("bob", MailAddress.parse("zoe@example.org"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a@example.org a\n  b@example.org c@example.org\n", ":2: begins with a blank"),
        ("a@example.org a\ninfo bob\n", ":2: 'info bob' is no owner"),
        ("a@example.org a\nb@example.org\n", ":2: 'b@example.org' is no owner"),
        ("a@example.org " + "x" * 65536 + "\n", ":1: longer than"),
    ],
)
def test_a_file_that_is_not_read(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "owners"
    path.write_text(text)
    with pytest.raises(OwnershipError, match=f"owners{problem}"):
        list(read_owned(path))
    with pytest.raises(OwnershipError, match="none: does not exist"):
        list(read_owned(tmp_path / "none"))
    assert list(read_owned(tmp_path / "none.local")) == []


def test_an_editor_may_write_a_byte_order_mark_and_crlf(tmp_path: Path) -> None:
    path = tmp_path / "owners"
    path.write_bytes(b"\xef\xbb\xbfinfo@example.org alice\r\n@example.org carol\r\n")
    table = read_rights(OwnerSettings(owners_files=(path,)))
    info = MailAddress.parse("info@example.org")
    assert table.may_use("alice", info)
    assert not table.may_use("carol", info)


def test_the_error_about_a_long_line_is_short(tmp_path: Path) -> None:
    path = tmp_path / "owners"
    path.write_text("info\n" + "  someone\n" * 20_000)
    with pytest.raises(OwnershipError, match=r"1: 'info  someone.* is no owner") as caught:
        list(read_owned(path))
    assert len(str(caught.value)) < 500


def test_a_sender_may_have_a_line_for_each_of_many_logins(tmp_path: Path) -> None:
    count = 60_000
    path = tmp_path / "owners"
    path.write_text("".join(f"@example.org login{n}\n" for n in range(count)))
    before = time.process_time()
    table = read_rights(OwnerSettings(owners_files=(path,)))
    assert time.process_time() - before < 10  # it took 40 s when each line copied those before
    sender = MailAddress.parse("info@example.org")
    assert table.may_use(f"login{count - 1}", sender)
    assert not table.may_use(f"login{count}", sender)


@pytest.mark.parametrize("section", [MilterSettings, PolicySettings])
def test_both_daemons_have_the_same_keys(section: type[OwnerSettings]) -> None:
    for name, field in OwnerSettings.model_fields.items():
        own = section.model_fields[name]
        assert (own.annotation, own.default) == (field.annotation, field.default)
        assert (own.description, own.metadata) == (field.description, field.metadata)


def test_the_milter_names_the_successor_of_its_old_table(tmp_path: Path) -> None:
    path = tmp_path / "gatepost.toml"
    path.write_text('[milters.ownership.senders]\nalice = ["@example.org"]\n')
    with pytest.raises(ConfigError, match=r"milters\.ownership: `senders` is now `owners`"):
        load(MiltersFile, path, {})


@pytest.mark.parametrize("enforce", [True, False])
def test_a_milter_that_cannot_read_its_table_does_not_start(tmp_path: Path, enforce: bool) -> None:
    settings = MilterSettings(enforce=enforce, owners_files=(tmp_path / "none",))
    make: Callable[[], FromOwnership] = lambda: FromOwnership(settings)  # noqa: E731
    if enforce:
        with pytest.raises(OwnershipError, match="does not exist"):
            make()
    else:
        assert make().allows("anybody", ())
