from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.dns.update import TsigKey, UpdateError, parse_tsig_key

SECRET = base64.b64encode(b"a secret of some length").decode()
BIND = f"""key "update.example.org" {{
\talgorithm hmac-sha512;
\tsecret "{SECRET}";
}};
"""


@pytest.mark.parametrize(
    ("text", "name", "algorithm"),
    [
        (BIND, "update.example.org", "hmac-sha512"),
        (f"// made by hand\nkey k {{ secret {SECRET}; }};", "k", "hmac-sha256"),
        (f'/* a */ KEY k {{ algorithm HMAC-SHA256; secret "{SECRET}"; }} ;', "k", "hmac-sha256"),
        (f"k:{SECRET}\n", "k", "hmac-sha256"),
        (f"hmac-sha384:k.example.org.:{SECRET}", "k.example.org.", "hmac-sha384"),
    ],
)
def test_forms_of_a_tsig_key(text: str, name: str, algorithm: str) -> None:
    assert parse_tsig_key(text) == TsigKey(name, algorithm, b"a secret of some length")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "it is no TSIG key"),
        ("a:b:c:d", "it is no TSIG key"),
        (f"hmac-md5:k:{SECRET}", "hmac-sha256"),
        ("k:!!", "not base64"),
        ("k:", "not base64"),
        (f"a..b:{SECRET}", "not a valid DNS name"),
        ('key "k" { algorithm hmac-sha256; };', "not base64"),
    ],
)
def test_what_is_no_tsig_key(text: str, told: str) -> None:
    with pytest.raises(UpdateError) as caught:
        parse_tsig_key(text)
    assert told in str(caught.value)
    assert SECRET not in str(caught.value)


@given(st.one_of(st.text(), st.text(alphabet='key{};"abc=: \n/*#')))
def test_any_text_is_a_key_or_not(text: str) -> None:
    try:
        key = parse_tsig_key(text)
    except UpdateError:
        return
    assert key.secret


def test_the_secret_does_not_show() -> None:
    assert "secret" not in repr(parse_tsig_key(BIND))
