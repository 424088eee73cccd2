from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gatepost.dns import Zone
from msgauth.dkim import MessageVerifier
from msgauth.message import HeaderField
from tests.unit.msgauth import golden
from tests.unit.msgauth.keyring import run


def results(
    fields: tuple[HeaderField, ...], body: bytes, now: int, zone: Zone
) -> list[dict[str, Any]]:
    verifier = MessageVerifier(fields)
    verifier.body(body)
    return [
        {
            "status": result.status,
            "reason": result.reason,
            "domain": result.domain,
            "selector": result.selector,
            "auid": result.auid,
            "algorithm": result.algorithm,
            "key_bits": result.key_bits,
            "testing": result.testing,
        }
        for result in run(verifier.finish(now), zone)
    ]


@pytest.mark.parametrize("path", golden.messages("dkim"), ids=lambda path: path.stem)
def test_golden(path: Path) -> None:
    golden.check(path, results)
