"""Lists in postgrey's syntax."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from gatepost.list_file import MAX_LINE
from msgauth.mail_address import MailAddress
from policyd.match import (
    AddressTable,
    ClientTable,
    MatchError,
    NameTable,
    _parse_address,
    parse_address,
    read_addresses,
    read_clients,
    read_entries,
)


@pytest.mark.parametrize(
    ("entry", "address", "name", "matches"),
    [
        ("example.org", "192.0.2.1", "example.org", True),
        ("example.org", "192.0.2.1", "MX.Example.ORG", True),
        ("example.org", "192.0.2.1", "notexample.org", False),
        ("example.org", "192.0.2.1", "", False),
        ("192.0.2.1", "192.0.2.1", "", True),
        ("192.0.2.1", "192.0.2.10", "", False),
        ("192.0.2.0/24", "192.0.2.255", "", True),
        ("192.0.2.77/24", "192.0.2.1", "", True),
        ("192.0.2", "192.0.2.1", "", True),
        ("192.0.2", "192.0.20.1", "", False),
        ("192.0", "192.0.77.1", "", True),
        ("192.0", "192.1.0.1", "", False),
        ("2001:db8::/32", "2001:db8:1::1", "", True),
        ("2001:db8::/32", "2001:db9::1", "", False),
        ("2001:db8::1", "2001:0db8::0001", "", True),
        ("192.0.2.1", "::ffff:192.0.2.1", "", True),
        ("0.0.0.0/0", "2001:db8::1", "", False),
        (r"/^mx\d+\.example\.org$/", "192.0.2.1", "mx12.example.org", True),
        (r"/^mx\d+\.example\.org$/", "192.0.2.1", "MX12.example.org", True),
        (r"/^mx\d+\.example\.org$/", "192.0.2.1", "mx.example.org", False),
        ("192.0.2.1", "garbage", "", False),
    ],
)
def test_clients(entry: str, address: str, name: str, matches: bool) -> None:
    assert bool(ClientTable([entry]).match(parse_address(address), name)) is matches


@pytest.mark.parametrize(
    ("entry", "address", "matches"),
    [
        ("bob@example.org", "bob@example.org", True),
        ("bob@example.org", "Bob@Example.Org", True),
        ("bob@example.org", "bob+lists@example.org", True),
        ("bob@example.org", "bobby@example.org", False),
        ("bob@example.org", "bob@sub.example.org", False),
        ("postmaster@", "postmaster@anywhere.example", True),
        ("postmaster@", "postmaster+x@anywhere.example", True),
        ("postmaster@", "notpostmaster@anywhere.example", False),
        ("example.org", "anybody@example.org", True),
        ("example.org", "anybody@sub.example.org", True),
        ("example.org", "anybody@example.org.evil.example", False),
        (r"/^test-.*@/", "test-7@example.org", True),
        ("example.org", "", False),
        ("@example.org", "bob@Example.org", True),
        ("@Example.org", "bob+x@example.org", True),
        ("@example.org", "bob@sub.example.org", False),
    ],
)
def test_addresses(entry: str, address: str, matches: bool) -> None:
    assert bool(AddressTable([entry]).match(MailAddress.parse(address))) is matches


@pytest.mark.parametrize("entry", ["bücher.example", "BÜCHER.example.", "xn--bcher-kva.example"])
def test_a_domain_in_any_script(entry: str) -> None:
    for address in ("a@bücher.example", "a@XN--bcher-kva.example", "a@bücher.example."):
        for text in (entry, f"@{entry}", f"a@{entry}"):
            assert AddressTable([text]).match(MailAddress.parse(address))
        assert not AddressTable([f"b@{entry}"]).match(MailAddress.parse(address))


def test_what_is_too_long_for_an_address_is_not_remembered() -> None:
    longest = "0000:0000:0000:0000:0000:ffff:192.168.100.200"
    assert parse_address(longest) == parse_address("192.168.100.200")
    before = _parse_address.cache_info().currsize
    assert parse_address("192.0.2.1" + " " * 2000) is None
    assert _parse_address.cache_info().currsize == before


def test_names() -> None:
    helo = NameTable(["example.org", r"/^\[/"], domains=True)
    assert helo.match("mx.example.org") == "example.org"
    assert helo.match("[192.0.2.1]")
    assert not helo.match("example.net")
    assert NameTable([".example.org"], domains=True).match("mx.example.org")
    logins = NameTable(["Alice"], domains=False)
    assert logins.match("alice")
    assert not logins.match("mx.alice")


@pytest.mark.parametrize("entry", ["a b", "/x", "user@", "300.1.1.1", "1.2.3.4/40", "/(/", "::g"])
def test_no_client(entry: str) -> None:
    with pytest.raises(MatchError):
        ClientTable([entry])


@pytest.mark.parametrize("entry", ["a b", "/(/", ""])
def test_no_address(entry: str) -> None:
    with pytest.raises(MatchError):
        AddressTable([entry])


POSTGREY = """\
# postgrey whitelist for mail client hostnames
# greylisting.org: Southwest Airlines
southwest.com
/^.*\\.outbound\\.protection\\.outlook\\.com$/   # a pool
  217.158.50.178

2001:db8:25::/48
"""


def test_a_file_of_postgrey(tmp_path: Path) -> None:
    path = tmp_path / "whitelist_clients"
    path.write_text(POSTGREY)
    table = ClientTable()
    read_clients(path, table)
    assert table.match(parse_address("192.0.2.1"), "mx.southwest.com")
    assert table.match(parse_address("192.0.2.1"), "mail-x.outbound.protection.outlook.com")
    assert table.match(parse_address("217.158.50.178"), "")
    assert table.match(parse_address("2001:db8:25::1"), "")
    assert not table.match(parse_address("192.0.2.1"), "mx.example.org")


def test_a_wrong_line_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "whitelist_recipients"
    path.write_text("postmaster@\n\ntwo words\n")
    with pytest.raises(MatchError, match=r"whitelist_recipients:3: 'two words' is not an address"):
        read_addresses(path, AddressTable())


def test_only_a_local_file_may_be_missing(tmp_path: Path) -> None:
    assert read_entries(tmp_path / "whitelist_clients.local") == []
    with pytest.raises(MatchError, match="does not exist"):
        read_entries(tmp_path / "whitelist_clients")


def test_a_large_list_is_as_fast_as_a_small_one_in_kind() -> None:
    """Names and networks are looked up, not searched."""
    table = ClientTable(f"10.{n >> 8}.{n & 255}.0/24" for n in range(20_000))
    table.add("example.org")
    assert len(table._networks) == 1
    assert table.match(parse_address("10.78.31.9"), "") == "10.78.31.0/24"
    assert not table.match(parse_address("10.200.31.9"), "")


def test_a_line_without_end_is_named(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text(f"example.org\n/{'x' * MAX_LINE}/\n")
    with pytest.raises(MatchError, match=f"{path}:2: longer than {MAX_LINE} characters"):
        read_clients(path, ClientTable())


WHITELIST = r"""
/^mx[[:digit:]]+\.example$/
/^relay\d+\.example\z/
/^\Qmail.example\E$/
/^out(?-i)X\.example$/   # the comment goes as far as the line
/^(?:[a-z0-9-]+\.)+pool\.example$/
"""


def test_regexes_of_a_file_are_perls(tmp_path: Path) -> None:
    path = tmp_path / "whitelist_clients"
    path.write_text(WHITELIST.replace("\n", "\r\n"))
    table = ClientTable()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_clients(path, table)
    for name in (
        "mx12.example",
        "relay7.example",
        "MAIL.example",
        "OutX.example",
        "a.b.pool.example",
    ):
        assert table.match(parse_address("192.0.2.1"), name), name
    for name in ("mxd.example", "mx:.example", "relay7.examplex", "mailxexample", "outx.example"):
        assert not table.match(parse_address("192.0.2.1"), name), name
    assert table.match(None, "relay7.example") == r"/^relay\d+\.example\z/"


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (r"/^mx(?{die})$/", "is not supported"),
        (r"/^\p{L}+$/", r"write [[:alpha:]]"),
        (r"/^mx$/i", "/regex/"),
        (r"!/^mx$/", "/regex/"),
        (r"/mx", "/regex/"),
        (r"/mx[[:number:]]/", "there is no class [:number:]"),
        (r"/^m[x/", "a [ without its ]"),
    ],
)
def test_a_regex_that_is_none_is_told_with_its_place(tmp_path: Path, entry: str, why: str) -> None:
    path = tmp_path / "list"
    path.write_text(f"example.org\n{entry}\n")
    with pytest.raises(MatchError, match=f"^{path}:2: ") as clients_error:
        read_clients(path, ClientTable())
    assert why in str(clients_error.value)
    with pytest.raises(MatchError, match=f"^{path}:2: ") as addresses_error:
        read_addresses(path, AddressTable())
    assert why in str(addresses_error.value)
    with pytest.raises(MatchError, match=r"is not a (usable )?regular expression"):
        NameTable([entry], domains=True)


def test_a_local_part_may_begin_with_a_slash() -> None:
    table = AddressTable(["/g=anna/s=b/@gw.example"])
    assert table.match(MailAddress.parse("/G=Anna/S=B/@gw.example"))


def test_a_regex_sees_an_address_as_it_is_written() -> None:
    table = AddressTable([r"/^(?-i)Bob@/"])
    assert table.match(MailAddress.parse("Bob@example.org"))
    assert not table.match(MailAddress.parse("bob@example.org"))
