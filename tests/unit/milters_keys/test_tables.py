from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milters.keys.tables.dataset import DataSet, UnsupportedDataSetError, classify, read_dataset
from milters.keys.tables.errors import OpendkimError, Place
from milters.keys.tables.expand import ANY_DOMAIN, MAX_EXPANSION, Expanded, expand, is_aligned
from milters.keys.tables.lines import MAX_LINE, MAX_LINES
from milters.keys.tables.parse import Glob, SigningTable, parse_key_table, parse_signing_table

PLACE = Place("opendkim.conf", 7)


def dataset(spec: str, text: str = "") -> DataSet:
    return read_dataset(spec, PLACE, read=lambda path: text)


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("file:/etc/x", ("file", "/etc/x")),
        ("/etc/x", ("file", "/etc/x")),
        ("refile:/etc/x", ("refile", "/etc/x")),
        ("REFILE:/etc/x", ("refile", "/etc/x")),
        ("csl:a,b", ("csl", "a,b")),
        ("a, b", ("csl", "a, b")),
        ("2001:db8::1", ("csl", "2001:db8::1")),
        ("192.168.0.0/16", ("csl", "192.168.0.0/16")),
    ],
)
def test_kinds_of_data_sets(spec: str, kind: tuple[str, str]) -> None:
    assert classify(spec, PLACE) == kind


@pytest.mark.parametrize(
    "spec",
    ["db:/x", "/etc/x.db", "dsn:mysql://u:p@h/d", "ldap://h/x", "lua:/x", "mdb:/x", "erlang:n@h:c"],
)
def test_databases_are_not_read(spec: str) -> None:
    with pytest.raises(UnsupportedDataSetError, match=r"^opendkim\.conf:7: .* is not supported"):
        classify(spec, PLACE)


def test_the_password_of_a_database_is_not_shown() -> None:
    with pytest.raises(OpendkimError) as caught:
        classify("dsn:mysql://user:secret@host/db", PLACE)
    assert "secret" not in str(caught.value)


def test_entries_of_a_file() -> None:
    text = "# all\n\nkey1\ta:b:c # d\n  key2   x y\r\nkey3\n"
    entries = dataset("file:/t", text).entries
    assert [(entry.key, entry.value, entry.place.line) for entry in entries] == [
        ("key1", "a:b:c", 3),
        ("key2", "x y", 4),
        ("key3", "", 5),
    ]


def test_entries_of_a_list() -> None:
    entries = dataset("csl: a, b,x=1 , y=q:r,,").entries
    assert [(entry.key, entry.value) for entry in entries] == [
        ("a", ""),
        ("b", ""),
        ("x", "1"),
        ("y", "q:r"),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a" * (MAX_LINE + 1), "t:1: the line has more than"),
        ("ok\nb\0b", "t:2: the line has a NUL"),
        ("a\n" * (MAX_LINES + 1), f"t:{MAX_LINES + 1}: there are more than"),
    ],
)
def test_files_are_bounded(text: str, told: str) -> None:
    with pytest.raises(OpendkimError, match=re.escape(told)):
        dataset("file:/t", text)


def test_a_file_that_is_not_there_is_told_with_the_line_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(OpendkimError, match=r"opendkim\.conf:7: .*/none: cannot be read"):
        read_dataset(f"file:{tmp_path}/none", PLACE)


def test_a_relative_path_is_below_the_base(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("a b")
    assert read_dataset("file:t", PLACE, tmp_path).path == tmp_path / "t"


def signing(text: str, kind: str = "refile") -> SigningTable:
    table, problems = parse_signing_table(dataset(f"{kind}:/t", text))
    assert problems == []
    return table


def found(table: SigningTable, address: str) -> list[str]:
    return [entry.key_name for entry in table.lookup(address)]


REFILE = """
*@example.org k1
*@*.example.net k2
user@example.com k3
f.o*@x.org k4
*@EXAMPLE.edu k5
*boss*@* k6
* k7
"""


@pytest.mark.parametrize(
    ("address", "first"),
    [
        ("me@example.org", "k1"),
        ("ME@Example.ORG", "k1"),
        ("me@sub.example.org", "k7"),
        ("me@a.example.net", "k2"),
        ("me@a.b.example.net", "k2"),
        ("me@example.net", "k7"),
        ("user@example.com", "k3"),
        ("user2@example.com", "k7"),
        ("f.oo@x.org", "k4"),
        ("fxoo@x.org", "k7"),
        ("me@example.edu", "k5"),
        ("theboss1@x.example", "k6"),
        ("@example.org", "k1"),
    ],
)
def test_patterns(address: str, first: str) -> None:
    assert found(signing(REFILE), address)[0] == first


def test_entries_count_in_the_order_of_the_file() -> None:
    text = "*@a.example k1\nboss@a.example k2\n*@*.example k3\n*@a.example k4\n"
    assert found(signing(text), "boss@a.example") == ["k1", "k2", "k3", "k4"]


FILE = """
.example.com k6
* k9
user@foo.example.com k1
user@.example.com k4
user@.foo.example.com k3
foo.example.com k2
user@* k8
.foo.example.com k5
.com k7
"""


def test_the_order_of_look_ups_without_patterns() -> None:
    table = signing(FILE, "file")
    assert found(table, "user@foo.example.com") == [f"k{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 9)]
    assert found(table, "other@foo.example.com") == ["k2", "k5", "k6", "k7", "k9"]
    assert found(table, "other@example.org") == ["k9"]


@pytest.mark.parametrize("address", ["", "nobody", "a" * 2000 + "@example.org"])
def test_what_is_no_address_matches_nothing(address: str) -> None:
    assert found(signing("* k"), address) == []
    assert found(signing("* k", "file"), address) == []


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        ("refile", "example.org k", "matches nobody: with refile:, write *@example.org"),
        ("file", "*@example.org k", "patterns only work with refile:"),
        ("refile", "*@example.org", "does not name a key of the KeyTable"),
        ("file", "example.org :x", "does not name a key of the KeyTable"),
    ],
)
def test_lines_that_never_match(kind: str, text: str, told: str) -> None:
    table, (problem,) = parse_signing_table(dataset(f"{kind}:/t", text))
    assert table.entries == ()
    assert told in str(problem)
    assert str(problem).startswith("/t:1: ")


@given(st.text(alphabet="ab*.", max_size=8), st.text(alphabet="ab.", max_size=10))
def test_a_glob_is_the_regular_expression_that_it_looks_like(pattern: str, text: str) -> None:
    regex = ".*".join(map(re.escape, pattern.split("*")))
    assert Glob(pattern).matches(text) is bool(re.fullmatch(regex, text))


def test_a_glob_that_would_make_a_regular_expression_backtrack_for_ever() -> None:
    assert not Glob("*a" * 400 + "b").matches("a" * 1000)


def expanded(key_table: str, signing_table: str, *files: str, kind: str = "refile") -> Expanded:
    keys, problems = parse_key_table(dataset("file:/kt", key_table))
    assert problems == []

    def find(pattern: str) -> list[str]:
        regex = re.compile("[^/]*".join(map(re.escape, pattern.split("*"))))
        return [file for file in files if regex.fullmatch(file)]

    return expand(keys, signing(signing_table, kind), find=lambda pattern: iter(find(pattern)))


def test_a_percent_that_stands_for_too_many_files_is_told() -> None:
    keys, _ = parse_key_table(dataset("file:/kt", "k %:s:/k/%.pem"))
    names = (f"/k/d{number}.example.pem" for number in itertools.count())
    result = expand(keys, signing("*@* k", "refile"), find=lambda _: names)
    assert not result.keys
    (problem,) = result.problems
    assert f"more than {MAX_EXPANSION} files" in str(problem)
    assert next(names) == f"/k/d{MAX_EXPANSION + 1}.example.pem"


def test_fixed_keys() -> None:
    result = expanded("k Example.org:S1:/k/%.pem", "*@example.org k")
    (key,) = result.keys.values()
    assert (key.domain, key.selector, str(key.path)) == ("example.org", "s1", "/k/example.org.pem")
    assert list(result.keys) == [("k", ANY_DOMAIN)]


def test_a_file_for_each_domain_of_an_author() -> None:
    files = ("/k/a.example/s.pem", "/k/b.example/s.pem", "/k/not a name/s.pem", "/k/a/b/s.pem")
    result = expanded("k %:s:/k/%/s.pem", "*@* k", *files)
    assert {name: str(key.path) for name, key in result.keys.items()} == {
        ("k", "a.example"): "/k/a.example/s.pem",
        ("k", "b.example"): "/k/b.example/s.pem",
    }
    (problem,) = result.problems
    assert "not a domain name" in str(problem)


def test_the_domain_twice_in_a_path_is_the_same_twice() -> None:
    files = ("/k/a.example/a.example.pem", "/k/a.example/b.example.pem")
    result = expanded("k %:s:/k/%/%.pem", "*@* k", *files)
    assert list(result.keys) == [("k", "a.example")]


def test_one_file_for_the_domains_that_the_signing_table_names() -> None:
    result = expanded("k %:s:/k.pem", "*@a.example k\nx@b.example k\n*@*.c.example k\n* k")
    assert sorted(domain for _, domain in result.keys) == ["a.example", "b.example"]
    assert [problem.place.line for problem in result.problems] == [3, 4]


@pytest.mark.parametrize(
    ("pattern", "is_fine"),
    [
        ("*@example.org", True),
        ("*@sub.example.org", True),
        ("*@*.example.org", True),
        ("*@org.example.org", True),
        ("*@example.net", False),
        ("*", False),
        ("*@*", False),
        ("boss@*", False),
        ("*@*example.org", False),
        ("*@notexample.org", False),
        ("*@example.*", False),
    ],
)
def test_lines_that_sign_unaligned(pattern: str, is_fine: bool) -> None:
    result = expanded("k example.org:s:/k.pem", f"{pattern} k")
    assert (result.unaligned == ()) is is_fine


@pytest.mark.parametrize(
    ("author", "signer", "aligned"),
    [
        ("a.example", "a.example", True),
        ("b.a.example", "a.example", True),
        ("a.example", "b.a.example", True),
        ("ba.example", "a.example", False),
    ],
)
def test_alignment(author: str, signer: str, aligned: bool) -> None:
    assert is_aligned(author, signer) is aligned


table_text = st.text(alphabet="ab.@*%:/#k \t\n", max_size=80)


@given(table_text, table_text, st.sampled_from(["file", "refile"]))
def test_any_two_tables_are_read(key_table: str, signing_table: str, kind: str) -> None:
    keys, _ = parse_key_table(dataset("file:/kt", key_table))
    table, _ = parse_signing_table(dataset(f"{kind}:/st", signing_table))
    result = expand(keys, table, find=lambda pattern: iter(["/a.b/k", "/k"]))
    for name, domain in result.keys:
        assert name in keys
        assert "/" not in domain
    for address in ("a@a.b", "b@b.a.b", "@", "a@"):
        for entry in table.lookup(address):
            assert entry in table.entries
