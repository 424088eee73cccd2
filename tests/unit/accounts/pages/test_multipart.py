"""Forms with a file."""

from __future__ import annotations

import time

import pytest

from accounts.http.problems import ApiProblem
from accounts.pages.multipart import read_multipart

HEADER = "multipart/form-data; boundary=----WebKitFormBoundaryx1"
LINE = b"------WebKitFormBoundaryx1"


def part(name: str, content: bytes, more: str = "") -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode()
    return LINE + b"\r\n" + head + content + b"\r\n"


def test_fields_and_a_file() -> None:
    file = part(
        "file", "\ufeffä,b\r\nc\r\n".encode(), '; filename="x.csv"\r\nContent-Type: text/csv'
    )
    form = read_multipart(HEADER, part("a", b"1") + part("a", b"2") + file + LINE + b"--\r\n")
    assert form.all("a") == ["1", "2"]
    assert form.secret("file") == "ä,b\nc\n"


@pytest.mark.parametrize(
    ("header", "octets"),
    [
        (HEADER, b""),
        (HEADER, LINE + b"--"[:1]),
        (HEADER, part("a", b"1")),
        (HEADER, b"before" + part("a", b"1") + LINE + b"--"),
        (HEADER, LINE + b"\r\n\r\n\r\nx\r\n" + LINE + b"--"),
        (
            HEADER,
            LINE + b'x\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n' + LINE + b"--",
        ),
        (HEADER, part("", b"1") + LINE + b"--"),
        (HEADER, part("a", b"1") * 1001 + LINE + b"--"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=", b"x"),
        ("multipart/form-data; boundary=" + "x" * 71, b"x"),
        ("multipart/form-data; boundary=a b", b"x"),
        ("multipart/mixed; boundary=a", b"--a--"),
    ],
)
def test_what_is_no_form(header: str, octets: bytes) -> None:
    with pytest.raises(ApiProblem) as caught:
        read_multipart(header, octets)
    assert caught.value.status == 400


def test_a_file_that_is_no_text() -> None:
    with pytest.raises(ApiProblem, match="not text"):
        read_multipart(HEADER, part("file", b"PK\xff\xfe") + LINE + b"--")


def test_nested_parts_take_no_time() -> None:
    inner = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (one, one)
        for one in range(15_000)
    )
    started = time.process_time()
    form = read_multipart(HEADER, part("file", inner) + LINE + b"--")
    assert time.process_time() - started < 1
    assert len(form.secret("file")) > 500_000
