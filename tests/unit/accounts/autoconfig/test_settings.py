"""The section `[accounts.autoconfig]`."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from accounts.autoconfig.settings import AutoconfigSettings, MailServer
from tests.unit.accounts.autoconfig.offered import ALL, HOST, settings


def test_without_servers_nothing_is_offered() -> None:
    assert not AutoconfigSettings().is_offered
    assert AutoconfigSettings().services == {}


def test_servers_come_in_the_order_in_which_they_are_recommended() -> None:
    found = settings(sieve="Mail.Example.org.:4190")
    assert [key for key, _ in found.incoming] == ["imaps", "imap", "pop3s", "pop3"]
    assert [key for key, _ in found.outgoing] == ["submissions", "submission"]
    assert found.services["sieve"] == MailServer(HOST, 4190)
    assert set(found.services) == {*ALL, "sieve"}
    assert found.model_dump()["imaps"] == f"{HOST}:993"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"imaps": HOST}, "write"),
        ({"imaps": f"{HOST}:0"}, "write"),
        ({"imaps": f"{HOST}:65536"}, "write"),
        ({"imaps": f"{HOST}:٩٩٣"}, "write"),
        ({"imaps": 993}, "write"),
        ({"imaps": "192.0.2.1:993"}, "in the certificate"),
        ({"imaps": "[2001:db8::1]:993"}, "in the certificate"),
        ({"imaps": "<b>:993"}, "in the certificate"),
        ({"imaps": ALL["imaps"]}, "need both"),
        ({"submission": ALL["submission"]}, "need both"),
        ({"web_host": "x y"}, "not a domain"),
        ({"name": "a\nb"}, "printable"),
        ({"webmail": "javascript:alert(1)"}, "pattern"),
        ({"webmail": "https://x/<b>"}, "pattern"),
    ],
)
def test_what_is_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        AutoconfigSettings(**keys)
