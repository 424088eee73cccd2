"""The safe view of a message in quarantine."""

from __future__ import annotations

import base64
import time

import pytest

from accounts.quarantine.view import MAX_PARTS, MAX_TEXT, html_text, see


def mixed(*parts: bytes, boundary: bytes = b"b1") -> bytes:
    head = b'Content-Type: multipart/mixed; boundary="%b"\r\n\r\n' % boundary
    body = b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts)
    return head + body + b"--%b--\r\n" % boundary


def test_header_fields_are_decoded_and_on_one_line() -> None:
    seen = see(
        b"From: =?utf-8?q?J=C3=BCrgen?= =?utf-8?b?IFg=?= <j@example.org>\r\n"
        b"Subject: a\r\n\tb =?utf-8?q?=E2=80=AEgnp=1B?=\r\nX-Bad: \xff\xfe\r\n\r\nHello\r\n"
    )
    assert dict(seen.fields) == {
        "From": "Jürgen X <j@example.org>",
        "Subject": "a        b \\u202egnp\\x1b",
        "X-Bad": "\ufffd\ufffd",
    }
    assert seen.text == "Hello\n"
    assert not seen.is_cut


def test_the_plain_part_is_shown_and_others_are_named() -> None:
    message = mixed(
        b"Content-Type: text/html\r\n\r\n<b>html</b>",
        b"Content-Type: text/plain; charset=iso-8859-1\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\nf=FCr dich",
        b'Content-Type: application/x-msdownload; name="a\xe2\x80\xaefdp.exe"\r\n'
        b"Content-Disposition: attachment; filename*=utf-8''b%E2%80%AEfdp.exe\r\n\r\nMZ",
        b"Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nnot shown",
    )
    seen = see(message)
    assert seen.text == "für dich"
    assert not seen.is_html
    assert [(one.media_type, one.octets) for one in seen.parts] == [
        ("text/html", 11),
        ("text/plain", 10),
        ("application/x-msdownload", 2),
        ("text/plain", 9),
    ]
    assert seen.parts[2].name == "b\\u202efdp.exe"


def test_html_becomes_text_with_the_targets_of_links() -> None:
    body = base64.b64encode(
        b"<html><head><title>T</title><style>p{}</style></head><body onload=x>"
        b"<script>alert(1)</script><!-- hidden --><p>Pay &amp; win "
        b"<a class=x href='https://evil.example/?a=1&amp;b'>your bank</a></p>"
        b"<img src=https://evil.example/pixel><p>&lt;script&gt;</p>"
    )
    head = b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    seen = see(head + body)
    assert seen.is_html
    lines = [line for line in seen.text.split("\n") if line]
    assert lines == ["Pay & win your bank <https://evil.example/?a=1&b>", "[image]", "<script>"]


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\r\n",
        b"no header at all",
        b"\xff" * 1000,
        b"Content-Type: multipart/mixed; boundary=\r\n\r\n--\r\n\r\nx",
        b"Content-Type: text/plain; charset=idna\r\n\r\nxn--\xff",
        b"Content-Type: text/plain; charset=zip\r\n\r\nx",
        b"Content-Type: text/plain; charset*=utf-8''%ff%ff\r\n\r\nx",
        b"Content-Type: text/plain; name*0*=x; name*1=y; name*5=z\r\n\r\nx",
        b"Content-Type: text/plain; name*=bad'%zz\r\n\r\nx",
        b"Content-Type: \xc3\xa4/\xc3\xb6; boundary*=unknown-8bit''%80\r\n\r\nx",
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nA",
        b"Content-Disposition: \x00;;;;=\r\n\r\n",
    ],
)
def test_nothing_is_raised_and_nothing_is_invisible(octets: bytes) -> None:
    seen = see(octets)
    shown = seen.text.replace("\n", "") + "".join(value for _, value in seen.fields)
    assert shown.isprintable()


SIZE = 256 << 10


@pytest.mark.parametrize(
    "octets",
    [
        (b"a: b\r\n" * SIZE)[:SIZE],
        b"Content-Type: text/html\r\n\r\n" + b"<" * SIZE,
        b"Content-Type: text/html\r\n\r\n<" + b"a" * SIZE,
        b"Content-Type: text/html\r\n\r\n" + b"<a href=" * (SIZE // 8),
        b"Content-Type: text/html\r\n\r\n" + b'<a href=">' * (SIZE // 10),
        b"Content-Type: text/html\r\n\r\n" + b"&" * SIZE,
        b"Content-Type: text/html\r\n\r\n" + b"<!--" * (SIZE // 4),
        b"Content-Type: text/html\r\n\r\n" + b"<script>" * (SIZE // 8),
        b"Content-Type: text/plain; " + b'a="' * (SIZE // 3) + b"\r\n\r\nx",
        b"Content-Type: text/plain; " + b"a*0=b;" * (SIZE // 6) + b"\r\n\r\nx",
        b"Subject: " + b"=?utf-8?q?a?= " * (SIZE // 14) + b"\r\n\r\nx",
        b"Subject: " + b"=?" * (SIZE // 2) + b"\r\n\r\nx",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n" * (SIZE // 5),
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"\r\n--b" * (SIZE // 5),
        b"".join(mixed(b"", boundary=b"%d" % level)[:-9] for level in range(3000)),
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=" * SIZE,
    ],
    ids=range(16),
)
def test_time_is_linear_and_the_view_is_bounded(octets: bytes) -> None:
    begun = time.process_time()
    seen = see(octets)
    assert time.process_time() - begun < 5
    assert len(seen.fields) <= 100
    assert len(seen.parts) <= MAX_PARTS
    assert len(seen.text) <= 10 * MAX_TEXT


def test_a_long_text_says_that_it_was_cut() -> None:
    seen = see(b"\r\n" + b"x" * (MAX_TEXT + 1))
    assert (len(seen.text), seen.is_cut) == (MAX_TEXT, True)
    assert see(b"a: b\r\n\r\nx", is_whole=False).is_cut


def test_comments_and_ends_of_tags_leave_text_alone() -> None:
    assert html_text("a < b <!-- c --> d </x> <br> e") == "a < b  d\ne"


def test_numbers_of_characters_may_have_any_length() -> None:
    markup = f"&#{'1' * 5000};&#{'0' * 5000}65;&#0066;&#67 &#{'0' * 5000};"
    assert html_text(markup) == "\ufffdABC \ufffd"
    assert see(b"Content-Type: text/html\r\n\r\n" + markup.encode()).is_html


@pytest.mark.parametrize("charset", ["punycode", "idna"])
def test_names_in_dns_are_no_charset(charset: str) -> None:
    # punycode takes the square of the time
    body = b"a" * 130_000 + b"-" + b"ba" * 60_000
    head = f"Content-Type: text/plain; charset={charset}\r\n\r\n".encode()
    begun = time.process_time()
    assert see(head + body).text == body[:MAX_TEXT].decode()
    assert time.process_time() - begun < 1.0


@pytest.mark.parametrize("filler", [b"", "\U000e0001".encode() * 1900], ids=["ascii", "invisible"])
def test_parameters_of_types_take_little_time(filler: bytes) -> None:
    # the parser looks for the end of the text at each semicolon
    part = b'Content-Type: text/plain; a="' + filler + b";" * 3900 + b"\r\n\r\nx"
    begun = time.process_time()
    assert see(mixed(*[part] * 60)).parts
    assert time.process_time() - begun < 1.0
