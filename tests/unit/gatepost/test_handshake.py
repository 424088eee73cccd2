"""The first words with a milter, a policy server and an SMTP server."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.probe import dict as dictionary
from accounts.probe import dovecot, sasl, socketmap
from accounts.protocols.dovecot_dict import DictConnection, DictLookup
from gatepost.handshake import Greeting, Handshake, HandshakeError, smtp
from milters.probe import milter
from policyd.probe import policy
from policyd.protocol import RequestReader
from policyd.request import Request
from tests.testbed.miltermta import encode

MILTER_ANSWER = encode(b"O", struct.pack(">III", 6, 0x11, 0x1FFC00) + b"\0\0\0\1i\0")
SMTP_ANSWERS = (b"220-wait\r\n220 mx.example ESMTP\r\n", b"250-mx.example\r\n250 SMTPUTF8\r\n")
SASL_GREETING = b"VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\nSPID\t1\nDONE\n"
POLICY_ANSWER = b"action=DUNNO\n\n"


def lead(talk: Handshake, chunks: Iterable[bytes]) -> tuple[Greeting, list[bytes]]:
    """Feed the chunks, then the end of the stream; what was said and what was sent."""
    stream = iter(chunks)
    sent = [next(talk)]
    try:
        while True:
            sent.append(talk.send(next(stream, b"")))
    except StopIteration as done:
        return done.value, [octets for octets in sent if octets]


def whole(*octets: bytes) -> list[bytes]:
    return list(octets)


def bytewise(*octets: bytes) -> list[bytes]:
    return [bytes([octet]) for octet in b"".join(octets)]


cuts = pytest.mark.parametrize("cut", [whole, bytewise])
Cut = Callable[..., list[bytes]]


@cuts
def test_a_milter_that_agrees(cut: Cut) -> None:
    greeting, sent = lead(milter(), cut(MILTER_ANSWER, b"and more"))
    assert greeting == Greeting("milter protocol 6", encode(b"Q"))
    assert sent == [encode(b"O", struct.pack(">III", 6, 0x1FF, 0x1FFFFF))]


@cuts
def test_a_policy_server_that_answers(cut: Cut) -> None:
    greeting, sent = lead(policy(), cut(POLICY_ANSWER, b"and more"))
    assert greeting.said == "action=DUNNO"
    reader = RequestReader()
    reader.receive_data(sent[0])
    request = reader.next_event()
    assert isinstance(request, Request)
    assert (request.state, request.sender, request.recipient) == ("VRFY", "", "")


@cuts
def test_an_smtp_server_that_greets(cut: Cut) -> None:
    greeting, sent = lead(smtp(), cut(*SMTP_ANSWERS))
    assert greeting == Greeting("mx.example ESMTP", b"QUIT\r\n")
    assert sent == [b"EHLO probe.invalid\r\n"]


@cuts
def test_a_socketmap_that_answers(cut: Cut) -> None:
    greeting, sent = lead(socketmap(), cut(b"9:NOTFOUND ,", b"and more"))
    assert greeting == Greeting("probe.invalid: NOTFOUND")
    assert sent == [b"21:domains probe.invalid,"]


@cuts
def test_an_authentication_server_that_greets(cut: Cut) -> None:
    greeting, sent = lead(sasl(), cut(SASL_GREETING))
    assert greeting == Greeting("offers PLAIN LOGIN")
    assert sent == []


@cuts
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 404 \r\nx-Gatepost-answer: unknown\r\n\r\n", "probe.invalid: unknown"),
        (
            b"HTTP/1.1 403 No\r\nContent-Length: 6\r\n\r\ntoken\n",
            "it answers, and requires a token",
        ),
    ],
)
def test_a_server_for_dovecot_that_answers(cut: Cut, answer: bytes, said: str) -> None:
    greeting, sent = lead(dovecot(), cut(answer))
    assert greeting == Greeting(said)
    assert sent[0].startswith(b"GET /dovecot/userdb?user=probe@probe.invalid HTTP/1.1\r\nHost: ")


@cuts
def test_a_dictionary_that_answers(cut: Cut) -> None:
    greeting, sent = lead(dictionary(), cut(b"N\n"))
    assert greeting == Greeting("probe.invalid: none")
    connection = DictConnection()
    connection.receive_data(sent[0])
    expected = DictLookup("sieve", "probe@probe.invalid", "priv/sieve/name/rules")
    assert connection.next_event() == expected


def test_ehlo_is_said_behind_the_banner_and_not_before() -> None:
    talk = smtp()
    assert next(talk) == b""
    assert talk.send(b"220 mx.exam") == b""
    assert talk.send(b"ple\r\n") == b"EHLO probe.invalid\r\n"


@pytest.mark.parametrize(
    ("talk", "answers", "problem"),
    [
        (milter, [], "closed the connection"),
        (milter, [MILTER_ANSWER[:9]], "closed the connection"),
        (milter, [b"220 mx.example ESMTP\r\n"], "not the answer of a milter: a packet of"),
        (milter, [encode(b"O", b"\0" * 4)], "not the answer of a milter: a packet of 5"),
        (milter, [encode(b"t", b"\0" * 12)], "b't'"),
        (milter, [encode(b"O", struct.pack(">III", 7, 0, 0))], "version 7"),
        (milter, [encode(b"O", struct.pack(">III", 6, 0x200, 0))], "not offered"),
        (policy, [], "closed the connection"),
        (policy, [b"action=\n\n"], "not the answer of a policy server"),
        (policy, [b"reply=DUNNO\n\n"], "not the answer of a policy server"),
        (policy, [b"action=DUNNO\nand=this\n\n"], "not the answer of a policy server"),
        (policy, [b"x" * 70_000], "without an end"),
        (socketmap, [], "closed the connection"),
        (socketmap, [b"25:TEMP the database is away,"], "cannot answer: TEMP the database"),
        (socketmap, [b"220 mx.example ESMTP\r\n"], "without an end"),
        (socketmap, [b"9:NOTFOUND ;"], "not the answer of a socketmap"),
        (socketmap, [b"-1:x,"], "not the answer of a socketmap"),
        (sasl, [], "closed the connection"),
        (sasl, [b"220 mx.example ESMTP\r\n"], "not the greeting"),
        (sasl, [b"VERSION\t1\t2\nDONE\n"], "offers no mechanism"),
        (sasl, [b"VERSION\t1\t2\n" + b"MECH\tPLAIN\n" * 200], "without an end"),
        (dovecot, [], "closed the connection"),
        (dovecot, [b"220 mx.example ESMTP\r\n\r\n"], "not the answer of an HTTP server"),
        (dovecot, [b"HTTP/1.1 404 Not Found\r\n\r\n"], "not the server for Dovecot"),
        (
            dovecot,
            [b"HTTP/1.1 403 No\r\nContent-Length: 6\r\n\r\nnever\n"],
            "not the server for Dovecot",
        ),
        (
            dovecot,
            [b"HTTP/1.1 503 No\r\nX-Gatepost-Answer: temporary\r\n\r\n"],
            "cannot answer: temporary",
        ),
        (dictionary, [], "closed the connection"),
        (dictionary, [b"Fthe database is away\n"], "cannot answer: the database is away"),
        (dictionary, [b"O1\n"], "not the answer of the dictionary"),
        (smtp, [], "closed the connection"),
        (smtp, [b"421 4.3.2 All server ports are busy\r\n"], "banner is answered with 421 4.3.2"),
        (smtp, [b"220 mx\r\n", b"502 no\r\n"], "EHLO is answered with 502 no"),
        (smtp, [b"SSH-2.0-OpenSSH\r\n"], "not the answer of an SMTP server"),
        (smtp, [b"220-" + b"x" * 5000], "without an end"),
        (smtp, [b"220-mx\r\n" * 1000] * 9, "banner is answered with more than 65536 octets"),
    ],
)
def test_others_are_told_from_them(
    talk: Callable[[], Handshake], answers: list[bytes], problem: str
) -> None:
    with pytest.raises(HandshakeError, match=problem):
        lead(talk(), answers)


@given(
    st.sampled_from([milter, policy, socketmap, sasl, dovecot, dictionary, smtp]),
    st.lists(
        st.one_of(
            st.binary(min_size=1),
            st.sampled_from(
                [
                    *SMTP_ANSWERS,
                    MILTER_ANSWER,
                    POLICY_ANSWER,
                    SASL_GREETING,
                    b"9:",
                    b"220",
                    b"\n",
                    b"-",
                ]
            ),
        )
    ),
)
def test_nothing_but_a_handshake_error_comes_out(
    talk: Callable[[], Handshake], answers: list[bytes]
) -> None:
    try:
        greeting, _ = lead(talk(), answers)
    except HandshakeError:
        return
    assert greeting.said
