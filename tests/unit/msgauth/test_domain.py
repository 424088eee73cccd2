import pytest
from hypothesis import given
from hypothesis import strategies as st

from msgauth.domain import (
    MAX_NAME,
    DomainError,
    ancestors,
    count_labels,
    is_at_or_below,
    last_labels,
    to_alabels,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("example.org", "example.org"),
        ("EXAMPLE.Org.", "example.org"),
        ("_dmarc.example.org", "_dmarc.example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("_dmarc.bücher.example", "_dmarc.xn--bcher-kva.example"),
        # IDNA2003 would make fass.de of it, which is another owner's domain
        ("faß.de", "xn--fa-hia.de"),
        # a reader sees bank.example
        ("ｂａｎｋ。example", "bank.example"),
        # not valid by IDNA2008, but registered by older rules
        ("xn--i-7iq.ws", "xn--i-7iq.ws"),
        (".".join(["a" * 63] * 3 + ["b" * 61]), ".".join(["a" * 63] * 3 + ["b" * 61])),
        ("ü." * 31 + "abcde.", "xn--tda." * 31 + "abcde"),
    ],
)
def test_names_are_compared_in_lower_case_alabels(name: str, expected: str) -> None:
    assert to_alabels(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "a..b",
        ".example.org",
        "example.org..",
        "a" * 64 + ".example",
        "ü" * 60 + ".example",
        ".".join(["a" * 63] * 3 + ["b" * 62]),
        "ü." * 31 + "abcdef",
        "ü." * 500,
        "ü." * 60 + "ü",
        "a b.example",
        "a\r\nb.example",
        "example.org\n",
        "a@b.example",
        "[192.0.2.1]",
        "a℀b.example",  # maps to a slash
        "\u202eexample.org",
        "ex\u200dample.org",
        "\ud800.example",
        "a.example" * 1000,
        "ü" * 100_000,
    ],
)
def test_what_is_no_host_name_is_refused_in_few_words(name: str) -> None:
    with pytest.raises(DomainError) as caught:
        to_alabels(name)
    assert len(str(caught.value)) < 500
    assert str(caught.value).isprintable()


@given(st.text(max_size=300))
def test_any_text_gives_a_name_in_its_final_form_or_a_domain_error(text: str) -> None:
    try:
        name = to_alabels(text)
    except DomainError:
        return
    assert name.isascii()
    assert len(name) <= MAX_NAME
    assert to_alabels(name) == name


def test_the_walk_goes_from_the_name_to_the_top() -> None:
    assert list(ancestors("a.b.example")) == ["a.b.example", "b.example", "example"]
    assert list(ancestors("example")) == ["example"]


def test_labels_are_counted_and_cut_from_the_right() -> None:
    assert count_labels("a.b.example") == 3
    assert last_labels("a.b.example", 2) == "b.example"
    assert last_labels("b.example", 7) == "b.example"


def test_a_subdomain_ends_at_a_label() -> None:
    assert is_at_or_below("example.org", "example.org")
    assert is_at_or_below("a.example.org", "example.org")
    assert not is_at_or_below("badexample.org", "example.org")
    assert not is_at_or_below("org", "example.org")
