"""Load for a policy server: raw sockets, bytes made beforehand, one process.

``python bench/policyd_load.py ADDRESS CONNECTIONS REQUESTS [--first N] [--rate R]`` sends requests
of Postfix 3.7's shape for REQUESTS different triplets, each connection waiting for its answer as
smtpd does, and prints one JSON object. With --rate the requests leave at fixed times whatever the
server does, and a late answer is counted from when its request was due (no coordinated omission).
"""

from __future__ import annotations

import argparse
import gc
import json
import select
import socket
import time
from collections import deque
from dataclasses import asdict, dataclass

TEMPLATE = b"""request=smtpd_access_policy
protocol_state=RCPT
protocol_name=ESMTP
client_address=%s
client_name=%s
client_port=41234
reverse_client_name=%s
server_address=198.51.100.25
server_port=25
helo_name=mx1.example.net
sender=%s
recipient=%s
recipient_count=0
queue_id=
instance=1a2b.6560a1b2.3c4d5.%d
size=2048
etrn_domain=
stress=
sasl_method=
sasl_username=
sasl_sender=
ccert_subject=
ccert_issuer=
ccert_fingerprint=
ccert_pubkey_fingerprint=
encryption_protocol=TLSv1.3
encryption_cipher=TLS_AES_256_GCM_SHA384
encryption_keysize=256
policy_context=

"""


@dataclass
class Measured:
    """What one run of the load saw; times in milliseconds."""

    connections: int
    requests: int
    seconds: float
    rate: float
    p50: float
    p99: float
    worst: float
    answers: dict[str, int]


def letters(number: int) -> bytes:
    """A number in letters: digits in a sender are dropped by greylisting servers."""
    text = bytearray()
    while True:
        number, digit = divmod(number, 26)
        text.append(97 + digit)
        if not number:
            return bytes(text)


def request(number: int) -> bytes:
    """The request of one triplet: its own network, sender and recipient."""
    address = b"%d.%d.%d.7" % (11 + (number >> 16) % 110, number >> 8 & 255, number & 255)
    return TEMPLATE % (
        address,
        b"mx.%s.example" % letters(number),
        b"mx.%s.example" % letters(number),
        b"%s@example.net" % letters(number),
        b"%s@example.org" % letters(number % 997),
        number,
    )


def connect(address: str) -> socket.socket:
    """A connection to ``HOST:PORT`` or ``/PATH``."""
    if address.startswith("/"):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(address)
        return sock
    host, _, port = address.rpartition(":")
    sock = socket.create_connection((host, int(port)))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def closed_loop(address: str, connections: int, requests: list[bytes]) -> Measured:
    """Every connection sends its next request when its answer is there."""
    sockets = {sock.fileno(): sock for sock in (connect(address) for _ in range(connections))}
    poll = select.epoll()
    for descriptor in sockets:
        poll.register(descriptor, select.EPOLLIN)
    sent: dict[int, float] = {}
    times: list[float] = []
    answers: dict[bytes, int] = {}
    waiting = iter(requests)
    clock = time.perf_counter
    gc.disable()
    start = clock()
    for (descriptor, sock), data in zip(sockets.items(), waiting, strict=False):
        sent[descriptor] = clock()
        sock.send(data)
    left = len(requests)
    while left:
        for descriptor, _ in poll.poll():
            sock = sockets[descriptor]
            answer = sock.recv(4096)
            now = clock()
            if not answer.endswith(b"\n\n"):
                raise SystemExit(f"not an answer: {answer!r}")
            times.append(now - sent[descriptor])
            verb = answer[7:15]
            answers[verb] = answers.get(verb, 0) + 1
            left -= 1
            data = next(waiting, b"")
            if data:
                sent[descriptor] = now
                sock.send(data)
    seconds = clock() - start
    return _measured(connections, seconds, times, answers, sockets)


def fixed_rate(address: str, connections: int, requests: list[bytes], rate: float) -> Measured:
    """Requests leave at `rate` a second over whichever connection is free."""
    sockets = {sock.fileno(): sock for sock in (connect(address) for _ in range(connections))}
    poll = select.epoll()
    for descriptor in sockets:
        poll.register(descriptor, select.EPOLLIN)
    free = deque(sockets)
    due: dict[int, float] = {}
    times: list[float] = []
    answers: dict[bytes, int] = {}
    clock = time.perf_counter
    gc.disable()
    start = clock()
    next_one = 0
    while len(times) < len(requests):
        now = clock()
        while next_one < len(requests) and free and start + next_one / rate <= now:
            descriptor = free.popleft()
            due[descriptor] = start + next_one / rate
            sockets[descriptor].send(requests[next_one])
            next_one += 1
        wait = -1.0
        if next_one < len(requests) and free:
            wait = max(0.0, start + next_one / rate - clock())
        for descriptor, _ in poll.poll(wait):
            answer = sockets[descriptor].recv(4096)
            if not answer.endswith(b"\n\n"):
                raise SystemExit(f"not an answer: {answer!r}")
            times.append(clock() - due[descriptor])
            verb = answer[7:15]
            answers[verb] = answers.get(verb, 0) + 1
            free.append(descriptor)
    return _measured(connections, clock() - start, times, answers, sockets)


def _measured(
    connections: int,
    seconds: float,
    times: list[float],
    answers: dict[bytes, int],
    sockets: dict[int, socket.socket],
) -> Measured:
    for sock in sockets.values():
        sock.close()
    times.sort()
    return Measured(
        connections=connections,
        requests=len(times),
        seconds=round(seconds, 3),
        rate=round(len(times) / seconds, 1),
        p50=round(times[len(times) // 2] * 1000, 3),
        p99=round(times[int(len(times) * 0.99)] * 1000, 3),
        worst=round(times[-1] * 1000, 3),
        answers={verb.decode("ascii", "replace"): count for verb, count in answers.items()},
    )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("connections", type=int)
    parser.add_argument("requests", type=int)
    parser.add_argument("--first", type=int, default=0, help="number of the first triplet")
    parser.add_argument("--step", type=int, default=1, help="distance between triplets")
    parser.add_argument("--rate", type=float, default=0, help="requests a second, 0: all it takes")
    options = parser.parse_args()
    requests = [request(options.first + n * options.step) for n in range(options.requests)]
    if options.rate:
        measured = fixed_rate(options.address, options.connections, requests, options.rate)
    else:
        measured = closed_loop(options.address, options.connections, requests)
    print(json.dumps(asdict(measured)))


if __name__ == "__main__":
    main()
