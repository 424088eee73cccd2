import contextlib
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.dovecot.form import FormError, parse_form, text_of

names = ("user", "password", "protocol")


@given(st.dictionaries(st.sampled_from(names), st.binary(max_size=30)))
def test_what_a_script_writes_is_read(fields: dict[str, bytes]) -> None:
    form = "&".join(f"{name}={quote_from_bytes(value, '')}" for name, value in fields.items())
    assert parse_form(form.encode(), names) == dict.fromkeys(names, b"") | fields


@given(st.binary(max_size=200))
def test_anything_is_read_or_refused(octets: bytes) -> None:
    with contextlib.suppress(FormError):
        assert set(parse_form(octets, names)) == set(names)


@pytest.mark.parametrize(
    "octets",
    [b"user=a&user=a", b"user=a&%75ser=b", b"user=%", b"user=%4", b"user=%g0", b"a&" * 20 + b"a"],
)
def test_what_is_not_clear_is_refused(octets: bytes) -> None:
    with pytest.raises(FormError):
        parse_form(octets, names)


def test_a_form_has_spaces_empty_fields_and_others() -> None:
    assert parse_form(b"user=a+b%2Bc&password&new=x", names) == {
        "user": b"a b+c",
        "password": b"",
        "protocol": b"",
    }
    assert parse_form(b"a&" * 19 + b"user=x", names)["user"] == b"x"


@pytest.mark.parametrize("octets", [b"\xff", b"a\0"])
def test_what_is_no_text(octets: bytes) -> None:
    with pytest.raises(FormError):
        text_of(octets)
