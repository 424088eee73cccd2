from __future__ import annotations

import email.policy
import ipaddress
import re
from email import message_from_bytes

from hypothesis import given
from hypothesis import strategies as st

from msgauth.results import SpfStatus
from msgauth.spf import SpfResult, received_spf

CLIENT = ipaddress.ip_address("192.0.2.1")


def test_a_result_is_written_with_what_was_checked() -> None:
    result = SpfResult(
        "spf",
        SpfStatus.PASS,
        "example.org authorizes 192.0.2.1 (ip4:192.0.2.0/24)",
        identity="mailfrom",
        domain="example.org",
        sender="myname@example.org",
        mechanism="ip4:192.0.2.0/24",
    )
    field = received_spf(result, CLIENT, "foo.example.org", "mybox.example.net")
    assert bytes(field).decode().split("\r\n") == [
        "Received-SPF: pass (mybox.example.net: example.org authorizes 192.0.2.1",
        r" \(ip4:192.0.2.0/24\))",
        " receiver=mybox.example.net; identity=mailfrom; client-ip=192.0.2.1;",
        ' helo=foo.example.org; envelope-from="myname@example.org";',
        ' mechanism="ip4:192.0.2.0/24"',
        "",
    ]


def test_an_error_is_written_as_a_problem_and_the_helo_identity_without_sender() -> None:
    result = SpfResult(
        "spf",
        SpfStatus.PERMERROR,
        "x.example has 2 SPF records",
        identity="helo",
        domain="x.example",
        sender="postmaster@x.example",
    )
    client = ipaddress.ip_address("2001:db8::1")
    text = received_spf(result, client, "x.example", "mx.example").text
    assert text == (
        "permerror (mx.example: x.example has 2 SPF records) receiver=mx.example; identity=helo; "
        'client-ip="2001:db8::1"; helo=x.example; problem="x.example has 2 SPF records"'
    )


ANYTHING = st.text(max_size=40) | st.text('a.b@()"\\;=\r\n', max_size=20) | st.just("x" * 1000)
# RFC 7208 section 9.1, after unfolding
PAIR = r'[a-z-]+=(?:[!#$%&\'*+/=?0-9A-Z^_`a-z{|}~.-]+|"(?:[^"\\]|\\.)*")'
GRAMMAR = re.compile(rf"[a-z]+ \((?:[^()\\]|\\.)*\) {PAIR}(?:; {PAIR})*")


@given(st.sampled_from(SpfStatus), ANYTHING, ANYTHING, ANYTHING, ANYTHING, ANYTHING)
def test_nothing_gets_out_of_its_place(
    status: SpfStatus, reason: str, sender: str, mechanism: str, helo: str, receiver: str
) -> None:
    result = SpfResult("spf", status, reason, sender=sender, mechanism=mechanism)
    field = received_spf(result, CLIENT, helo, receiver)
    raw = bytes(field) + b"X-Next: 1\r\n\r\n"
    message = message_from_bytes(raw, policy=email.policy.compat32)
    assert message.keys() == ["Received-SPF", "X-Next"]
    assert GRAMMAR.fullmatch(field.value.replace(b"\r\n", b"").decode("ascii").strip())
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
