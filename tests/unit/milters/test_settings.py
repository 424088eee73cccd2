"""What a configuration of the milter must not be; what `gatepost config check` has to find."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from pydantic import ValidationError

from milters.settings import MiltersSettings


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"verify": {"spf": False}}, "verify.dmarc needs"),
        # a daemon that starts with it would have nothing to seal with
        ({"seal": {"domain": "a.example"}, "verify": {"arc": False}}, "seal.domain needs"),
        ({"listen": "inet:1", "submission_listen": "inet:1"}, "twice"),
        ({"listen": ["unix:/a", "inet:1", "unix:/a"]}, "twice"),
        ({"metrics_listen": "inet:8891@127.0.0.1"}, "twice"),
        # all of these would be found at the start of the daemon, or with the first message
        ({"sign": {"oversign": ["Received"]}}, "must not be signed"),
        ({"sign": {"also_sign": ["return-path"]}}, "must not be signed"),
        ({"sign": {"also_sign": ["X-A", "no name"]}}, "is not a header field name"),
        ({"sign": {"expiry": "0.5s"}}, "at least one second"),
        ({"sign": {"domains": {"a.example": {"expiry": "0.5s"}}}}, "at least one second"),
        # without an "@" none of these would ever match
        ({"ownership": {"owners": ["example.org a"]}}, "write user@example.org"),
        ({"ownership": {"owners": ["@ a"]}}, "write user@example.org"),
        ({"ownership": {"owners": ["*@example.org a"]}}, "write @example.org"),
        ({"ownership": {"owners": ["a b@exa mple"]}}, "write user@example.org"),
    ],
)
def test_what_cannot_work_is_told(settings: Mapping[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        MiltersSettings.model_validate(settings)


def test_no_end_of_a_signature() -> None:
    settings = MiltersSettings.model_validate(
        {"sign": {"expiry": "2d", "domains": {"a.example": {"expiry": 0}}}}
    )
    assert settings.sign.expiry == 2 * 86400
    assert settings.sign.domains["a.example"].expiry == 0
