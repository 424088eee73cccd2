"""The question to doveadm about what a mailbox holds."""

from __future__ import annotations

import asyncio
import json

import pytest

from accounts.dovecot import doveadm
from accounts.stored_mail import StoredMail


def test_no_question_is_about_several_mailboxes(monkeypatch: pytest.MonkeyPatch) -> None:
    """doveadm takes `?` for any character, and would tell the owner about others."""
    asked = []

    async def ask(url: str, key: str, commands: list[list[object]], timeout: float) -> bytes:
        del url, key, timeout
        asked.append(commands)
        found = [{"type": "STORAGE", "value": "2"}, {"type": "MESSAGE", "value": "1"}]
        return json.dumps([["doveadmResponse", found, "0"]]).encode()

    monkeypatch.setattr(doveadm, "ask", ask)
    url = "http://127.0.0.1:8080"
    assert asyncio.run(doveadm.usage(url, "key", "ann@example.org")) == StoredMail(2048, 1)
    assert len(asked) == 1
    for user in ("a?n@example.org", "*@example.org"):
        assert asyncio.run(doveadm.usage(url, "key", user)) is None
    assert len(asked) == 1
