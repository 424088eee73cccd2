"""Tables of mailboxes and aliases."""

from __future__ import annotations

import pytest

from accounts.exchange.csv_table import LONGEST_LINE, read, read_table
from accounts.exchange.notes import SourceError
from tests.unit.accounts.exchange.samples import HASH

HEAD = "address,display_name,password,quota,forwards,targets,description,enabled\n"


def notes(text: str) -> list[str]:
    return [str(one) for one in read("t.csv", text.encode()).notes]


def test_mailboxes_and_aliases() -> None:
    table = read_table(
        "t.csv",
        (
            "\ufeffAddress;Display name;Password;Quota;Forwards;Targets;Enabled\r\n"
            "\r\n"
            'Anna@Example.ORG;"Anna ""A""; B.";correct horse;2G;x@c.example y@c.example;;yes\r\n'
            f"bob@example.org;;{HASH};;;;no\r\n"
            "info@example.org;;;;;anna@example.org,bob@example.org;\r\n"
        ).encode(),
    )
    anna, bob = table.reading.document.mailboxes
    assert (anna.address, anna.display_name) == ("anna@example.org", 'Anna "A"; B.')
    assert (anna.password, anna.quota) == ("{PLAIN}correct horse", 2 << 30)
    assert anna.forwards == ("x@c.example", "y@c.example")
    assert (bob.password, bob.enabled) == (HASH, False)
    # what is empty is not set, so that an import leaves it as it is
    assert bob.model_fields_set == {"address", "password", "enabled"}
    (info,) = table.reading.document.aliases
    assert info.targets == ("anna@example.org", "bob@example.org")
    assert table.lines == {"anna@example.org": 3, "bob@example.org": 4, "info@example.org": 5}
    assert table.reading.notes == ()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("no-address,,,,,,,", "has no @"),
        ("a b@example.org,,,,,,,", "not an address"),
        ("a@example.org,,,much,,,,", "quota"),
        ("a@example.org,,,,,,,maybe", "yes or no"),
        ("a@example.org,,,,,,a text,", "a mailbox has no description"),
        ("a@example.org,A,,,,b@example.org,,", "an alias has no display_name"),
        ("a@example.org,,{NOSUCH}secret-1,,,,,", "cannot be used"),
        ("a@example.org,,$6$secret-1,,,,,", "cannot be used"),
        ("a@example.org,,,,,,,,more", "more values"),
        ("a@example.org," + "x" * 300 + ",,,,,,", "display_name"),
        ("ok@example.org,,,,,,,", "line 2 already"),
        (",,,,,,,yes", "address"),
    ],
)
def test_a_line_that_cannot_be_taken_is_noted_with_its_number(line: str, reason: str) -> None:
    (note,) = notes(f"{HEAD}ok@example.org,,,,,,,\n{line}\n")
    assert note.startswith("t.csv:3: left out: ")
    assert reason in note
    assert "secret-1" not in note


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "name the columns"),
        (b"name,password\na,b\n", "name the columns"),
        (b"address,uid\n", "name the columns"),
        (b"address,address\n", "name the columns"),
        (b"\xff\xfe", "not UTF-8"),
        (b"a\0b\n", "name the columns"),
        (b'address\n"a@example.org\n', "t.csv:2: the quotes"),
        (b'address\n"a"b@example.org\n', "t.csv:2: the quotes"),
        (b"address\n" + b"x" * (LONGEST_LINE + 1), "longer than"),
    ],
)
def test_a_table_that_is_none(data: bytes, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        read("t.csv", data)


def test_the_number_of_lines_is_bounded() -> None:
    rows = "".join(f"a{number}@example.org\n" for number in range(11))
    with pytest.raises(SourceError, match="more than 10 lines"):
        read_table("t.csv", f"address\n{rows}".encode(), most=10)
    assert len(read("t.csv", f"address\n{rows}".encode()).document.mailboxes) == 11


def test_weak_passwords_are_asked_about() -> None:
    asked: list[tuple[str, str]] = []

    def check(address: str, clear: str) -> str | None:
        asked.append((address, clear))
        return "too short" if len(clear) < 5 else None

    data = f'address,password\na@b.example,abc\nc@b.example,{{PLAIN}}x\nd@b.example,"{HASH}"\n'
    table = read_table("t.csv", data.encode(), check=check)
    assert asked == [("a@b.example", "abc"), ("c@b.example", "x")]
    assert [one.text for one in table.reading.notes] == ["too short", "too short"]
    assert [one.address for one in table.reading.document.mailboxes] == ["d@b.example"]
