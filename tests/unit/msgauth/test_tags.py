import pytest
from hypothesis import given
from hypothesis import strategies as st

from msgauth import tags
from msgauth.tags import TagError, decode_base64, parse_tags, split_list

ALPHABET = st.text(alphabet="ab1_=;: \t\r\né\0\x7f", max_size=60)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1", {"a": "1"}),
        ("a=1;", {"a": "1"}),
        (" a = 1 ;\r\n\tb_2= x = y ; ", {"a": "1", "b_2": "x = y"}),
        ("p=", {"p": ""}),
        ("b=ab\r\n cd", {"b": "ab\r\n cd"}),
        ("A=1; a=2", {"A": "1", "a": "2"}),
        ("i=@ö.example", {"i": "@ö.example"}),
    ],
)
def test_lists(text: str, expected: dict[str, str]) -> None:
    assert parse_tags(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        (" ; ", "without a name"),
        ("a", "without a name"),
        ("a=1;;b=2", "without a name"),
        ("=1", "without a name"),
        ("1a=1", "without a name"),
        ("a b=1", "without a name"),
        ("ä=1", "without a name"),
        ("a=1; a=2", "a= twice"),
        ("a=\0", "character in a="),
        ("a=\x7f", "character in a="),
        ("a=\x85", "character in a="),
        ("a=\udc80", "character in a="),
    ],
)
def test_what_is_no_list(text: str, message: str) -> None:
    with pytest.raises(TagError, match=message):
        parse_tags(text)


def test_bounds() -> None:
    assert len(parse_tags(";".join(f"a{n}=" for n in range(tags.MAX_TAGS)))) == tags.MAX_TAGS
    with pytest.raises(TagError, match="more than 100 tags"):
        parse_tags(";".join(f"a{n}=" for n in range(tags.MAX_TAGS + 1)))
    with pytest.raises(TagError, match="more than 65536 characters"):
        parse_tags("a=" + "1" * tags.MAX_LENGTH)


def test_lists_in_a_value() -> None:
    assert split_list("from : to:\r\n\tcc") == ["from", "to", "cc"]


@pytest.mark.parametrize("text", ["YWI=", "YWI", " Y W\r\n\tI = "])
def test_base64(text: str) -> None:
    assert decode_base64(text) == b"ab"
    assert decode_base64("") == b""


@pytest.mark.parametrize("text", ["Y", "YWI==", "YW-I", "é", "YQ==YQ==", "=", "YWI=x"])
def test_what_is_no_base64(text: str) -> None:
    with pytest.raises(TagError, match="not base64"):
        decode_base64(text)


@given(ALPHABET | st.text(max_size=60))
def test_parse_print_parse(text: str) -> None:
    try:
        parsed = parse_tags(text)
    except TagError:
        return
    printed = "; ".join(f"{name}={value}" for name, value in parsed.items())
    assert list(parse_tags(printed).items()) == list(parsed.items())
