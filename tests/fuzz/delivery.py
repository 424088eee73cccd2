"""LMTP, scanners and headers of the proxy: changed octets, in any portions."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from delivery.header_filter import HeaderFilter
from delivery.known_results import known_field, own_results
from delivery.protocols.envelope import LmtpEnvelope
from delivery.protocols.lmtp_client import LmtpTransaction, ReadyForContent
from delivery.protocols.lmtp_server import ContentEnd, ContentPart, Goodbye, LmtpServer
from delivery.protocols.rspamd import RspamdReader
from delivery.protocols.spamc import SpamdReader
from gatepost.clamd.instream import ClamdReader, ClamdStream
from gatepost.conversation import Answered, StreamError
from gatepost.peer.errors import PeerError
from msgauth.authres import parse
from msgauth.message import HeaderField, parse_message
from tests.fuzz.mutate import mutate, portions
from tests.fuzz.target import Target

_CLIENT = (
    b"LHLO x\r\nMAIL FROM:<a@b.example> BODY=8BITMIME SIZE=99 SMTPUTF8\r\n"
    b'RCPT TO:<"a b"@c.example>\r\nRCPT TO:<j\xc3\xb6rg@c.example>\r\nDATA\r\n'
    b"Subject: x\r\n\r\n..\r\n.\r\nRSET\r\nNOOP\r\nQUIT\r\n"
)
_STORE = (
    b"220 x\r\n250-x\r\n250-PIPELINING\r\n250 8BITMIME\r\n250 2.1.0 OK\r\n250 2.1.5 OK\r\n"
    b"550 5.1.1 no\r\n354 go\r\n250-2.0.0 a\r\n250 2.0.0 b\r\n"
)
_SPAMD = b"SPAMD/1.1 0 EX_OK\r\nContent-length: 5\r\nSpam: True ; 15.2 / 5.0\r\n\r\nA,B\r\n"
_RSPAMD = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 75\r\n\r\n"
    b'{"score":7.5,"required_score":15,"action":"add header","symbols":{"A":{}}}\n'
)
_CLAMD = b"stream: Eicar-Test FOUND\0"
_MESSAGE = (
    b"Authentication-Results: mx.example; dmarc=pass header.from=a.example; arc=temperror\r\n"
    b"Received: from a by b with ESMTP id 4XyzAb12;\r\n\tdate\r\nX-Spam-Flag: YES\r\n x\r\n"
    b"From: A <a@a.example>\r\nX-SPAM-Status : No\nARC-Authentication-Results: i=1; mx.example\r\n"
    b"authentication-results: other\n\ty\r\nSubject: x\r\n\r\nX-Spam-Flag: body\r\n"
)
_ENVELOPE = LmtpEnvelope("a@b.example", ("x@c.example", "y@c.example"), "8BITMIME", False, 9)

_WIRES = (_CLIENT, _STORE, _SPAMD, _RSPAMD, _CLAMD, _MESSAGE)


def make(random: Random) -> tuple[int, list[bytes]]:
    """Draw one of the protocols, and octets for it."""
    kind = random.randrange(len(_WIRES))
    data = _WIRES[kind] * random.choice((1, 1, 2))
    return kind, portions(mutate(data, random, random.choice((0, 1, 3))), random)


def check(made: tuple[int, list[bytes]]) -> None:
    """Read them: only the errors of the protocols may come out."""
    kind, data = made
    checks: tuple[Callable[[list[bytes]], None], ...] = (
        _server,
        _client,
        lambda data: _scanner(SpamdReader(), data),
        lambda data: _scanner(RspamdReader(), data),
        lambda data: _scanner(ClamdReader(ClamdStream(())), data),
        _header,
    )
    checks[kind](data)


def _server(data: list[bytes]) -> None:
    server = LmtpServer("mx.example", 1000, 5)
    try:
        for portion in data:
            server.receive_data(portion)
            while (event := server.next_event()) is not None:
                match event:
                    case Answered(reply) | Goodbye(reply):
                        assert reply.endswith(b"\r\n")
                        assert reply[:3].isdigit()
                        assert reply.isascii()
                    case ContentEnd(envelope):
                        assert 0 < len(envelope.recipients) <= 5
                        assert not any("\r" in one or "\n" in one for one in envelope.recipients)
                        server.resume()
                    case ContentPart(part):
                        assert part
    except StreamError:
        pass


def _client(data: list[bytes]) -> None:
    transaction = LmtpTransaction("mx.example", _ENVELOPE)
    answered: list[int] = []
    try:
        for portion in data:
            transaction.receive_data(portion)
            while (event := transaction.next_event()) is not None:
                if isinstance(event, ReadyForContent):
                    transaction.content_end()
                elif (number := getattr(event, "number", None)) is not None:
                    answered.append(number)
                    reply = bytes(event.reply)  # type: ignore[union-attr]
                    assert reply.count(b"\n") == 1
                    assert len(reply) < 512
            transaction.data_to_send()
    except PeerError:
        pass
    assert len(answered) == len(set(answered)) <= 2
    if transaction.is_over:
        assert sorted(answered) == [0, 1]


def _scanner(reader: SpamdReader | RspamdReader | ClamdReader, data: list[bytes]) -> None:
    answers = []
    try:
        for portion in data:
            reader.receive_data(portion)
            if (answer := reader.next_event()) is not None:
                answers.append(answer)
        reader.receive_eof()
        if (answer := reader.next_event()) is not None:
            answers.append(answer)
        if answers and isinstance(reader, SpamdReader):
            answers[0].scan_result()  # type: ignore[union-attr]
    except PeerError:
        return
    assert len(answers) == 1


def _header(data: list[bytes]) -> None:
    passed = HeaderFilter()
    out = b"".join([*map(passed.write, data), passed.finish()])
    assert len(out) == passed.size
    assert out.count(b"\n") == out.count(b"\r\n")
    fields, _ = parse_message(out)
    assert not [one for one in fields if one.key.startswith(b"x-spam")]
    shown, at = b"", 0
    for start, end in passed.hidden:
        assert at <= start < end <= len(out)
        shown, at = shown + out[at:start], end
    hidden, _ = parse_message(shown + out[at:])
    keys = {one.key for one in hidden}
    assert not keys & {b"authentication-results", b"arc-authentication-results"}
    written = known_field(own_results(passed.results, ("mx.example",)), "mx.example")
    if written:
        name, _, value = written.partition(b":")
        parse(HeaderField(name, value.removesuffix(b"\r\n")).text)
        assert b"arc=temperror" not in value


TARGET = Target("delivery", 200_000, make, check)
