"""Memory of one worker while messages with huge headers wait for DNS; see docs/milters.md.

Usage: python tools/scripts/memory.py [MESSAGES], from the root of the repository.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.daemon.milters import DOMAIN, Milters, memory  # noqa: E402
from tests.testbed.dns import Behaviour, DnsServer  # noqa: E402

SIGNATURES = 8
DKIM = (
    "v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain}; s=silent{number}; h=from{names}; "
    "bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=YWFh"
)
HEADERS: dict[str, list[tuple[str, bytes]]] = {
    "40 fields of 100 KB": [(f"X-{n}", b" " + b"x" * 100_000) for n in range(40)],
    "40 fields of 100 KB, covered": [(f"Z-{n}", b" " + b"x" * 100_000) for n in range(40)],
    "8,000 names, covered": [(f"Z-{n}", b" y%d" % n) for n in range(8_000)],
    "19,000 names": [(f"X-{n}", b" y%d" % n) for n in range(19_000)],
    "19,000 fields of one name": [("X-1", b" y%d" % n) for n in range(19_000)],
    "19,000 fields of 200 octets": [(f"X-{n}", b" " + b"x" * 200) for n in range(19_000)],
}


def measure(fields: list[tuple[str, bytes]], messages: int) -> tuple[float, float, dict[int, int]]:
    """Return the worker's MiB before and at most, and the number of replies by code."""
    codes: dict[int, int] = {}
    names = "".join(f":{name}" for name, _ in fields if name.startswith("Z"))
    with DnsServer() as dns, tempfile.TemporaryDirectory() as directory:
        for number in range(SIGNATURES):
            dns.misbehave(f"silent{number}._domainkey.{DOMAIN}", Behaviour.TIMEOUT)
        milters = Milters(Path(directory), dns)
        milters.configure("workers = 1")

        def send(number: int) -> None:
            with milters.client(timeout=300) as client:
                client.mail_from(f"a@x{number}.example")
                client.rcpt("b@receiver.example")
                client.data()
                for signature in range(SIGNATURES):
                    text = DKIM.format(domain=DOMAIN, number=signature, names=names)
                    client.header("DKIM-Signature", b" " + text.encode())
                client.header("From", b" a@signer.example")
                for name, value in fields:
                    client.header(name, value)
                client.end_of_headers()
                code = client.end_of_message().code
                codes[code] = codes.get(code, 0) + 1

        with milters:
            (worker,) = milters.workers()
            with milters.client() as client:
                client.message(b"From: a@signer.example\r\n\r\n")
            before = most = memory(worker)
            threads = [threading.Thread(target=send, args=(n,)) for n in range(messages)]
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                most = max(most, memory(worker))
                time.sleep(0.1)
    return before / 2**20, most / 2**20, codes


def main() -> None:
    """Measure each kind of header."""
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 75
    for name, fields in HEADERS.items():
        before, most, codes = measure(fields, messages)
        print(
            f"{messages} x {name}: {before:.0f} MiB before, {most:.0f} at most, {codes}", flush=True
        )


if __name__ == "__main__":
    main()
