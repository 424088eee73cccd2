from pathlib import Path

import pytest

from gatepost.listen import Inet, ListenError, Unix, parse


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("inet:8891", Inet("", 8891)),
        ("inet:8891@127.0.0.1", Inet("127.0.0.1", 8891)),
        ("inet:8891@[::1]", Inet("::1", 8891)),
        ("inet6:8891@::1", Inet("::1", 8891)),
        ("inet:127.0.0.1:8891", Inet("127.0.0.1", 8891)),
        ("inet:[2001:db8::1]:8891", Inet("2001:db8::1", 8891)),
        ("inet:mx_1.example.org:25", Inet("mx_1.example.org", 25)),
        ("inet:*:25", Inet("", 25)),
        ("unix:/run/a b", Unix(Path("/run/a b"))),
        ("local:/run/x", Unix(Path("/run/x"))),
    ],
)
def test_an_address_is_read_and_printed(text: str, address: Inet | Unix) -> None:
    assert parse(text) == address
    assert parse(str(address)) == address
    if isinstance(address, Unix) or address.host:
        assert parse(address.postfix) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8891",
        "127.0.0.1:8891",
        "inet:",
        "inet:0",
        "inet:65536",
        "inet:٣",
        "inet:25@bad host",
        "unix:relative",
        "unix:",
        "unix:/" + "x" * 107,
        "unix:/\ud800",
        "tcp:25",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ListenError):
        parse(text)
