"""Who a message says it is from, also when it is written to be misread."""

from __future__ import annotations

import email.utils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msgauth.dmarc.author import MAX_ADDRESSES, MAX_FROM, Author, find_author
from msgauth.domain import to_alabels
from msgauth.mail_address import MailAddress
from tests.testbed.from_readers import python_email

UNLIKE = "From has an address that programs read in different ways"
AMBIGUOUS = "From has an '@' that programs read in different ways"

INVISIBLE = "From: a domain with an invisible character: 'b.example{}'"


@pytest.mark.parametrize(
    "value",
    [
        "a@b.example",
        " a@B.Example\r\n",
        "<a@b.example>",
        "Anna <a@b.example>",
        '"Anna" <a@b.example>',
        '"x@evil.example" <a@b.example>',
        '"x@evil.example, <y@evil.example>" <a@b.example>',
        r'"quoted \" <x@evil.example>" <a@b.example>',
        "a@b.example <a@b.example>",  # a name that should have been quoted
        "=?utf-8?q?=3Cx=40evil.example=3E?= <a@b.example>",
        "(x@evil.example) a@b.example",
        "Anna (or (so)) <a@b.example> (that's me)",
        "'a@b.example' <a@b.example>",
        "a @ b.example",
        "a(x)@(y)b.example",
        # quotes are missing, and there is only one address to find
        "Shop: News <a@b.example>",
        "Shop (News <a@b.example>",
        'Shop "News <a@b.example>',
        "(Anna <a@b.example>",
        "Shop <3 <a@b.example>",
        "Shop: =?utf-8?q?x=3Ay?= <a@b.example>",
        "<a@b.example> Anna",
        "<a@b.example",
        "a@b.example;",
        "G: a@b.example",
        "Anna a@b.example",
        '"Anna"a@b.example',
        "Anna\r\n <a@b.example>",
        "Doe, John <a@b.example>",
        "[List] Anna <a@b.example>",
        ",, a@b.example ,",
        "Friends: a@b.example;",
        "Friends: a@b.example, Bob <b@b.example>;, c@b.example",
        "a@b.example.",
        "a'b+c=d@b.example",
        "Ännä <ä@b.example>",
    ],
)
def test_one_author_domain(value: str) -> None:
    author = find_author([value.encode()])
    assert (author.domains, author.problem) == (("b.example",), "")


@pytest.mark.parametrize(
    ("value", "domains"),
    [
        (b"Anna <a@b\xc3\xbccher.example>", ("xn--bcher-kva.example",)),
        (b"\xff\xfe <a@b.example>", ("b.example",)),
        ("a@نامه\u200cای.example".encode(), ("xn--mgba3gch31f060k.example",)),
        (b"\xff <a@xn--bcher-kva.example>", ("xn--bcher-kva.example",)),
        (b"a@b.example, c@d.example", ("b.example", "d.example")),
        (b"Anna <a@b.example>, <c@B.example>, \"x\" <c@d.example>", ("b.example", "d.example")),
        (b"G: a@b.example;, H: c@d.example;", ("b.example", "d.example")),
        (b"ceo@bank.example, <x@evil.example>", ("bank.example", "evil.example")),
        ("x@ｂａｎｋ。example".encode(), ("bank.example",)),
    ],
)  # fmt: skip
def test_domains_in_their_order_each_once(value: bytes, domains: tuple[str, ...]) -> None:
    author = find_author([value])
    assert (author.domains, author.problem) == (domains, "")


@pytest.mark.parametrize(
    ("value", "domains"),
    [
        ("x@evil.example <a@b.example>", ("b.example", "evil.example")),
        ("x@evil.example<a@b.example>, c@b.example", ("b.example", "evil.example")),
        ("x @evil.example <a@b.example>", ("b.example", "evil.example")),
        ("x(y)@evil.example <a@b.example>", ("b.example", "evil.example")),
        ("@evil.example <a@b.example>", ("b.example", "evil.example")),
        ('"x y"@evil.example <a@b.example>', ("b.example", "evil.example")),
        ('")"@evil.example <a@b.example>', ("b.example", "evil.example")),
        ('"z@evil.example" x@y.example <a@b.example>', ("b.example", "y.example")),
        ("x＠evil.example <a@b.example>", ("b.example", "evil.example")),
        ("x﹫evil.example, a@b.example", ("b.example", "evil.example")),
        ("(<x@evil.example>) <a@b.example>", ("b.example", "evil.example")),
        ('a@(x@evil.example, ")b.example', ("b.example", "evil.example")),
        ("<@evil.example,@b.example:a@b.example>", ("b.example", "evil.example")),
        ('=?utf-8?q?=22?= "x@evil.example" <a@b.example>', ("b.example", "evil.example")),
    ],
)
def test_a_second_domain_that_some_program_shows_is_a_problem(
    value: str, domains: tuple[str, ...]
) -> None:
    author = find_author([value.encode()])
    assert author.problem
    assert set(author.domains) == set(domains)


@pytest.mark.parametrize(
    "word",
    [
        "=?utf-8?Q?x=40evil.example?=",
        "=?UTF-8?q?=3Cx=40evil.example=3E?=",
        "=?utf-8?B?PGFkbWluQHZpY3RpbS5leGFtcGxlPg==?=",
        "=?utf-8*en?b?QA==?=",
        "=?utf-7?q?x+AEA-evil.example?=",
        "=?utf-16-be?b?AEA=?=",
        "=?cp037?b?fA==?=",
        "=?utf-8?q?x=EF=BC=A0evil.example?=",
        "=?x-unknown?q?x?=",
        "=?zlib?q?x?=",
        "=?utf-8?b?damaged?=",
        "=?utf-8?q?=FF?=",
        "=?utf-8?q?=3D=3Futf-8=3Fq=3F=3D40=3F=3D?=",
        "=?utf-8?q?x?= =?utf-8?q?=40evil.example?=",
        "=?utf-8?q?x=40evil.example, y?=",
        "=?utf-8?q?x=4?= =?utf-8?q?0evil.example?=",
        "=?iso-2022-jp?b?GyRC?= =?iso-2022-jp?q?!wevil.example?=",
        "=?utf-8?q?=3D=3Futf-8=3F?= =?utf-8?q?q=3Fx=3D40evil.example=3F=3D?=",
    ],
)
def test_an_encoded_word_hides_an_address_where_no_display_name_is(word: str) -> None:
    for value in (f"{word}, a@b.example", f"{word}: a@b.example;", f"{word}, <a@b.example>"):
        author = find_author([value.encode()])
        assert author.problem == "From has an encoded word that may hide an address", value
    for value in (f"{word} a@b.example", f"a@b.example ({word})", f"<{word}a@b.example>"):
        assert find_author([value.encode()]).problem, value
    if "," not in word:
        assert find_author([f"Anna {word} <a@b.example>".encode()]).problem == ""
        assert find_author([f'"{word}" <a@b.example>'.encode()]).problem == ""


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "From has no address"),
        ("  ", "From has no address"),
        ("nobody", "From has no address"),
        ('"a@b.example"', "From has no address"),
        ('"x@evil.example", a@b.example', AMBIGUOUS),
        ("Anna @ home <a@b.example>", AMBIGUOUS),
        ("'x@evil.example' via List <a@b.example>", AMBIGUOUS),
        ("x@evil.example[1.2.3.4] <a@b.example>", AMBIGUOUS),
        ("x@ evil.example <a@b.example>", AMBIGUOUS),
        ("x@y@evil.example <a@b.example>", AMBIGUOUS),
        ('x@evil.example"y" <a@b.example>', AMBIGUOUS),
        ('"a@evil.example"@b.example', AMBIGUOUS),
        ("a @ b . example", "From: not a domain name: 'b . example'"),
        ("<a@b.(evil.)example>", "From: not a domain name: 'b. example'"),
        ("a(\r\n x)@b.example", "From has an address on two lines"),
        ("a@b-.example", "From: not a host name: 'b-.example'"),
        ("a@b.example.>evil.example", "From has a '>' that does not belong there"),
        ("<a@b.example> .evil.example", "From has something behind an address"),
        ("a@b.example evil.example;", "From has a ';' that does not belong there"),
        ("Shop: x@evil.example <a@b.example>", "From ends too early"),
        ("Shop (=?utf-8?q?x=40evil.example?= <a@b.example>", "From has a comment without an end"),
        ("=?utf-8?q?x?=a@b.example", UNLIKE),
        ("a\u200b@b.example", UNLIKE),
        ('Anna"a"@b.example', "From has something that is not an address"),
        ("=?utf-8?q?x=40evil.example?=(y)a@b.example", "From has something that is not an address"),
        ("=?utf-8?q?a=40b.example?=", "From has an encoded word that may hide an address"),
        ("undisclosed:;", "From has no address"),
        ("<>", "From has something that is not an address"),
        ("Anna <a>", "From has something that is not an address"),
        ("a@b@c.example", "From has something that is not an address"),
        ("a@b.example c@d.example", "From has something that is not an address"),
        ("<a@good.example> c@d.example", "From has something behind an address"),
        ("<a@good.example> <c@d.example>", "From has something behind an address"),
        ("<a@good.example <c@d.example>", "From has a '<' that does not belong there"),
        ("a@good.example> <c@d.example>", "From has a '>' that does not belong there"),
        ("<a@good.example,c@d.example>", "From has something that is not an address"),
        ("<a@good.example:c@d.example>", "From has something that is not an address"),
        ("a@b.example: c@d.example;", "From has a ':' that does not belong there"),
        ("x\\<a@good.example> <c@d.example>", "From has a '\\\\' that does not belong there"),
        ("@b.example", "From has an address without local part"),
        ("a@[192.0.2.1]", "From has an address literal and no domain"),
        ("a@b example.org", "From: not a domain name: 'b example.org'"),
        ("a@b.example\0.evil.example", "From has a control character"),
        ("a@evil.example\0 <a@b.example>", "From has a control character"),
        ("a@b.example\rFrom: a@evil.example", "From has a control character"),
        ("a@b.example\n\r\n", "From has a control character"),
        ('"\x0b" <a@b.example>', "From has a control character"),
        # readers that end a route at its first colon see evil.example
        ("<@r.example:a@evil.example:a@b.example>", "From has something that is not an address"),
        ("<@a@evil.example:a@b.example>", "From has something that is not an address"),
        ("<a@evil.example:a@b.example>", "From has something that is not an address"),
        ("<@:a@b.example>", "From has something that is not an address"),
        # nodemailer takes it for white space, and shows b.example
        ("a@b.example\ufeff.evil.example", INVISIBLE.format(r"\ufeff.evil.example")),
        ("a@b.example\u00ad.evil.example", INVISIBLE.format(r"\xad.evil.example")),
        ("Anna <a@b.example\u200b>", INVISIBLE.format(r"\u200b")),
        ("a@", "From: not a domain name: ''"),
        ("a@b..example", "From: not a domain name: 'b..example'"),
    ],
)
def test_what_cannot_be_read_in_one_way_is_a_problem(value: str, problem: str) -> None:
    author = find_author([value.encode()])
    assert author.problem == problem
    assert author.problem.isprintable()


@pytest.mark.parametrize(
    ("value", "addresses"),
    [
        ("Anna <Anna.B@Example.ORG>", ("Anna.B@example.org",)),
        ("a@b.example, G: <c@d.example>;", ("a@b.example", "c@d.example")),
        ('"a.b"@c.example', ("a.b@c.example",)),
        (r'"\a\b"@c.example', ("ab@c.example",)),
        ('"a b"@c.example', ('"a b"@c.example',)),
        ("<ü@bücher.example>", ("ü@xn--bcher-kva.example",)),
        ("c@b.example <a@b.example>", ("a@b.example", "c@b.example")),
        # the same domain, and yet another author for some program: that of the whole domain's owner
        ("ceo @b.example <a@b.example>", ("a@b.example", "@b.example")),
        ("@b.example <a@b.example>", ("a@b.example", "@b.example")),
        ("ceo a@b.example", ("a@b.example", "@b.example")),
        ("<ceo <a@b.example>", ("a@b.example", "@b.example")),
        ('"a\\"b"@c.example', ('"a\\"b"@c.example',)),
    ],
)
def test_addresses_as_they_are_compared(value: str, addresses: tuple[str, ...]) -> None:
    assert find_author([value.encode()]).addresses == addresses


def test_a_domain_that_is_not_utf8_is_a_problem() -> None:
    assert find_author([b"a@b\xff.example"]).problem.startswith("From: not an internationalized")


def test_several_fields_are_a_problem_whatever_is_in_them() -> None:
    assert find_author([]).problem == "no From field"
    twice = find_author([b"a@b.example", b"a@b.example"])
    assert twice == Author(("b.example",), (MailAddress.parse("a@b.example"),), "2 From fields")
    assert find_author([b"a@b.example", b"<"]).problem == "2 From fields"
    assert find_author([b"a@b.example"] * 1000).problem == "1000 From fields"


@pytest.mark.parametrize(
    "value",
    [
        b"a@b.example, " * 100_000,
        b"x" * 1_000_000,
        b"(" * 1_000_000,
        b" " * 1_000_000 + b"<a@b.example>",
    ],
)
def test_a_megabyte_is_not_read(value: bytes) -> None:
    assert find_author([value]).problem == f"From is longer than {MAX_FROM} octets"


def test_no_more_addresses_are_kept_than_a_message_can_need() -> None:
    most = ", ".join(f"{n}@b.example" for n in range(MAX_ADDRESSES)).encode()
    assert find_author([most]).problem == ""
    author = find_author([most + b", x@c.example"])
    assert author.problem == f"From has more than {MAX_ADDRESSES} addresses"
    assert (len(author.addresses), author.domains) == (MAX_ADDRESSES, ("b.example",))
    # each counts once
    assert find_author([b"a@b.example," * (MAX_ADDRESSES + 1)]).problem == ""


@pytest.mark.parametrize(
    "value",
    [
        b" " * 65_000,
        b"a@" + b" " * 65_000,
        b"a@b" + b" ." * 32_000,
        b'"' + b"\\" * 65_000,
        b'""' * 32_000,
        b"(\\" * 32_000,
        b"()" * 32_000,
        b"<" * 65_000,
        b"," * 65_000,
        b":;" * 32_000,
        b"[]" * 32_000,
        b"a@b.example," * 5_000,
        "ü".encode() * 32_000 + b"@b.example",
        b"a@" + "ü.".encode() * 20_000,
        b"x" * 65_000 + b"<a@b.example>",
        b"@x" * 32_000 + b"<a@b.example>",
        b"x@ " * 20_000 + b"<a@b.example>",
        b'"\r\n "' * 10_000 + b"<a@b.example>",
        b"'x@b.example' <x@b.example>," * 2_300,
        b"(x@b)" * 13_000 + b"a@b.example",
        b"=?utf-8?q?" * 6_500,
        b"=?utf-8?q?x?= " * 4_600 + b"<a@b.example>",
        b"=?utf-8?b?" + b"QEBA" * 16_000 + b"?=, a@b.example",
        b"=?utf-8?q?" + b"=3D=3Futf-8=3Fq=3F" * 3_500 + b"?=, a@b.example",
        b"Shop: " * 10_000 + b"<a@b.example>",
        b">" * 32_000 + b"a@b.example" + b">" * 32_000,
        "＠".encode() * 21_000,
        b"(a@b" + b" " * 65_000 + b"x",
        b'"a@b' + b" " * 32_000 + b">" + b" " * 32_000 + b"x(",
        b'"a@b>' + b" " * 32_000 + b"." * 32_000 + b"(",
    ],
    ids=lambda value: value[:12].hex(),
)
def test_long_fields_take_time_in_proportion(value: bytes) -> None:
    # a quadratic step over 65,000 octets would run into the time limit of the suite
    for _ in range(3):
        find_author([value])


ALPHABET = 'a@b.example <>(),:;"\\[]\r\n\tü=?'


@given(
    st.lists(st.binary(max_size=80) | st.text(ALPHABET, max_size=60).map(str.encode), max_size=3)
)
def test_any_fields_give_domains_in_their_final_form_or_a_problem(fields: list[bytes]) -> None:
    author = find_author(fields)
    assert author.problem.isprintable()
    assert author.problem or author.domains
    assert all(to_alabels(domain) == domain for domain in author.domains)
    assert len(set(author.domains)) == len(author.domains)


NAMES = st.text('ab @.,<>()"\\', max_size=12)
LOCALS = st.sampled_from(["a", "a.b", '"a b"', "a+b"])


@given(st.lists(st.tuples(NAMES, LOCALS, st.sampled_from("bcd")), min_size=1, max_size=4))
def test_what_the_standard_library_writes_is_read_as_meant(
    mailboxes: list[tuple[str, str, str]],
) -> None:
    pairs = [(name, f"{local}@{letter}.example") for name, local, letter in mailboxes]
    value = ", ".join(email.utils.formataddr(pair) for pair in pairs)
    expected = tuple(dict.fromkeys(f"{letter}.example" for _, _, letter in mailboxes))
    author = find_author([value.encode()])
    assert (author.domains, author.problem) == (expected, "")
    addresses = (f"{local}@{letter}.example" for _, local, letter in mailboxes)
    assert author.addresses == tuple(dict.fromkeys(addresses))


PIECES = [
    "a@b.example",
    "c@d.example",
    "=?utf-8?q?e=40f.example?=",
    "<",
    ">",
    '"',
    " ",
    ",",
    ":",
    "@",
    "(",
    ")",
    "e",
    ".",
]


@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join))
def test_the_standard_library_never_sees_another_domain_where_one_is_found(text: str) -> None:
    author = find_author([text.encode()])
    if author.problem or len(author.domains) != 1:
        return
    [shown] = python_email.read([text.encode()])
    # the final dot means the same name, and what is left of a bracket or quote is of no name
    domains = {address.rpartition("@")[2].lower() for address in shown}
    assert {domain.rstrip('.">):,') for domain in domains} <= set(author.domains)


@given(st.text(ALPHABET, max_size=30) | st.from_regex(r'\A("?[a @]*"? ?<?)a@b\.c(>? ?)\Z'))
def test_the_short_way_for_usual_fields_finds_what_the_long_way_finds(text: str) -> None:
    value = text.encode()
    # an empty member of the list takes the long way
    assert find_author([value]) == find_author([b", " + value])


@pytest.mark.parametrize("value", [b"j\xf6rg@example.org", b'X <"j\xf6rg"@example.org>'])
def test_a_local_part_that_is_not_utf8_may_be_any(value: bytes) -> None:
    author = find_author([value])
    assert author.mailboxes == (MailAddress("", "example.org", "@example.org"),)
    assert author.domains == ("example.org",)
    assert not author.problem
    name = find_author([b"J\xf6rg <joerg@example.org>"])
    assert [one.local for one in name.mailboxes] == ["joerg"]
