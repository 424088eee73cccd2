"""Load of logins in Dovecot's authentication protocol, as Postfix's smtpd processes send them.

A login takes the server tens of milliseconds, so that a client in Python does not distort it.
"""

from __future__ import annotations

import base64
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tools.bench.load import Load, LoadError


def logins(
    path: Path, login: Callable[[int], str], password: str, *, connections: int, seconds: float
) -> Load:
    """Log in by PLAIN over so many connections, one after the other on each.

    `login` returns that of each number. Raises `LoadError` when one is refused.
    """
    times: list[float] = []
    words: Counter[str] = Counter()
    numbers = iter(range(1_000_000_000))
    lock = threading.Lock()
    start = time.perf_counter()

    def work() -> None:
        try:
            ask()
        except OSError as error:
            with lock:
                words[str(error)] += 1

    def ask() -> None:
        with socket.socket(socket.AF_UNIX) as client, client.makefile("rwb") as stream:
            client.settimeout(60)
            client.connect(str(path))
            while stream.readline().rstrip() != b"DONE":
                pass
            stream.write(b"VERSION\t1\t1\nCPID\t1\n")
            while time.perf_counter() < start + seconds:
                with lock:
                    number = next(numbers)
                plain = base64.b64encode(f"\0{login(number)}\0{password}".encode()).decode()
                line = f"AUTH\t{number + 1}\tPLAIN\tservice=smtp\trip=192.0.2.1\tresp={plain}\n"
                before = time.perf_counter()
                stream.write(line.encode())
                stream.flush()
                word = stream.readline().partition(b"\t")[0].decode()
                if not word:
                    raise ConnectionResetError("the connection was closed")
                with lock:
                    times.append(time.perf_counter() - before)
                    words[word] += 1

    threads = [threading.Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - start
    if set(words) != {"OK"}:
        raise LoadError(f"logins were answered {dict(words)}")
    times.sort()
    count = len(times)
    return Load(count, took, times[count // 2], times[count * 99 // 100], 0, dict(words))
