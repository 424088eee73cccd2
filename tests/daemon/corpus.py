"""Messages to teach a spam filter with: made from words, the same in every run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Final

from tests.daemon.delivery_site import RECEIVED

_SPAM: Final = (
    *("casino", "jackpot", "lottery", "winner", "prize", "millions", "inheritance", "transfer"),
    *("replica", "watches", "discount", "pills", "pharmacy", "cheap", "guarantee", "urgent"),
    *("claim", "bonus", "investment", "crypto", "profit", "refinance", "unlimited", "billing"),
)
_HAM: Final = (
    *("meeting", "agenda", "minutes", "invoice", "delivery", "schedule", "kernel", "patch"),
    *("review", "compile", "draft", "chapter", "garden", "dinner", "train", "weekend"),
    *("birthday", "recipe", "school", "rehearsal", "orchestra", "bicycle", "repair", "holiday"),
)
_COMMON: Final = (
    *("please", "today", "tomorrow", "week", "number", "message", "answer", "people", "time"),
    *("place", "know", "think", "make", "good", "first", "long", "great", "little", "other"),
)


def spam(count: int, seed: int = 1) -> Iterator[bytes]:
    """Yield messages about money and pills."""
    return _messages(_SPAM, count, f"spam{seed}")


def ham(count: int, seed: int = 1) -> Iterator[bytes]:
    """Yield messages about work and life."""
    return _messages(_HAM, count, f"ham{seed}")


def _messages(words: tuple[str, ...], count: int, seed: str) -> Iterator[bytes]:
    source = random.Random(seed)
    for number in range(count):
        message = EmailMessage()
        name = source.choice(words)
        message["From"] = f"{name.title()} <{name}{number}@{source.choice(words)}.example>"
        message["To"] = "ann@example.org"
        message["Subject"] = " ".join(source.choices(words, k=4))
        message["Date"] = f"Wed, 25 Nov 2026 {number // 60 % 24:02}:{number % 60:02}:00 +0000"
        message["Message-ID"] = f"<{seed}.{number}@example.com>"
        lines = [" ".join(source.choices((*words, *_COMMON), k=9)) for _ in range(12)]
        message.set_content("\n".join(lines))
        yield RECEIVED + message.as_bytes().replace(b"\n", b"\r\n")
