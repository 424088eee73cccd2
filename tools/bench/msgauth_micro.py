"""Costs of one message in msgauth, without sockets: medians in microseconds.

    python -m tools.bench.msgauth_micro [--seconds 1]

Beside each step stands what OpenSSL alone needs for its part, so that the difference is ours.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from msgauth.ask import Answer, Question, Rcode
from msgauth.dkim import MessageSigner, MessageVerifier, SignatureSpec
from msgauth.drive import solve
from msgauth.keys import SigningKey
from msgauth.message import HeaderField

KEYS = Path(__file__).parents[2] / "tests" / "vectors" / "keys"
NOW = 1_700_000_000
CHUNK = 65535  # what Postfix hands over at once (MILTER_CHUNK_SIZE)

HEADER = [
    (b"Return-Path", b" <alice@example.org>"),
    (b"Received", b" from client.example.org (client.example.org [192.0.2.1])\n"
     b"\tby mx.example.org (Postfix) with ESMTPSA id 4Xabc123\n"
     b"\tfor <bob@example.net>; Sat, 21 Nov 2026 06:23:00 +0000 (UTC)"),
    (b"From", b" Alice Liddell <alice@example.org>"),
    (b"To", b" Bob <bob@example.net>, Carol <carol@example.net>,\n\tDave <dave@example.net>"),
    (b"Cc", b" Erin <erin@example.net>"),
    (b"Subject", b" Minutes of the meeting, and what is to be done until the next one"),
    (b"Date", b" Sat, 21 Nov 2026 06:23:00 +0000"),
    (b"Message-ID", b" <20261121062300.4711@example.org>"),
    (b"In-Reply-To", b" <20261120180000.0815@example.net>"),
    (b"References", b" <20261119.1@example.net>\n <20261120180000.0815@example.net>"),
    (b"MIME-Version", b" 1.0"),
    (b"Content-Type", b' text/plain; charset="utf-8"; format=flowed'),
    (b"Content-Transfer-Encoding", b" 8bit"),
    (b"User-Agent", b" Mutt/2.2.9"),
    (b"X-Mailer", b" none"),
]  # fmt: skip
LINE = b"The quick brown fox jumps over the lazy dog, as mail does it every day.\r\n"


def body(size: int) -> bytes:
    """Plain text of about `size` octets."""
    return LINE * (size // len(LINE))


def chunks(data: bytes) -> list[bytes]:
    """Return the body as a milter gets it."""
    return [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]


def median(work: Callable[[], object], seconds: float) -> float:
    """Return the median time of one call, in microseconds."""
    times = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each line")
    seconds = parser.parse_args().seconds
    rsa = SigningKey.parse((KEYS / "rsa2048.pem").read_bytes())
    ed25519 = SigningKey.parse((KEYS / "ed25519.pem").read_bytes())
    spec = SignatureSpec("example.org", "rsa", rsa)
    both = [spec, SignatureSpec("example.org", "ed", ed25519)]
    digest = hashlib.sha256(b"").digest()
    signature = rsa.sign(digest)
    public = rsa.public_key()
    sign_rsa = median(lambda: rsa.sign(digest), seconds)
    sign_both = sign_rsa + median(lambda: ed25519.sign(digest), seconds)
    verify_rsa = median(lambda: public.verify(digest, signature), seconds)
    records = {one.record_name: Answer(Rcode.OK, (one.key.public_record(),)) for one in both}

    def resolve(question: Question) -> Answer:
        return records[question.name]

    print(f"{'':28}{'all':>9}{'OpenSSL':>9}{'ours':>9}")
    for size in (2_000, 20_000, 200_000):
        parts = chunks(body(size))
        whole = b"".join(parts)
        hashing = median(lambda data=whole: hashlib.sha256(data).digest(), seconds / 4)  # type: ignore[misc]

        def sign(specs: list[SignatureSpec], parts: list[bytes] = parts) -> list[HeaderField]:
            fields = [HeaderField.received(name, value) for name, value in HEADER]
            signer = MessageSigner(specs, fields)
            for part in parts:
                signer.body(part)
            return [*signer.finish(NOW), *fields]

        signed = sign([spec])

        def verify(parts: list[bytes] = parts, signed: list[HeaderField] = signed) -> None:
            verifier = MessageVerifier(signed)
            for part in parts:
                verifier.body(part)
            (result,) = solve(verifier.finish(NOW), resolve)
            assert result.status == "pass", result

        label = f"{size // 1000} KB"
        for name, work, crypto in (
            ("sign, RSA 2048", lambda: sign([spec]), sign_rsa),
            ("sign, RSA and Ed25519", lambda: sign(both), sign_both),
            ("verify, RSA 2048", verify, verify_rsa),
        ):
            took = median(work, seconds)
            openssl = crypto + hashing
            print(f"{label:>7} {name:20}{took:9.1f}{openssl:9.1f}{took - openssl:9.1f}")


if __name__ == "__main__":
    main()
