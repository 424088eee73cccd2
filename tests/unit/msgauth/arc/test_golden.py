from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gatepost.dns import Zone
from msgauth.arc import ArcVerifier
from msgauth.message import HeaderField
from tests.unit.msgauth import golden
from tests.unit.msgauth.keyring import run


def results(
    fields: tuple[HeaderField, ...], body: bytes, now: int, zone: Zone
) -> list[dict[str, Any]]:
    verifier = ArcVerifier(fields)
    verifier.body(body)
    result = run(verifier.finish(now), zone)
    return [
        {
            "status": result.status,
            "reason": result.reason,
            "sealers": list(result.sealers),
            "payloads": [hop.payload for hop in result.hops],
            "oldest_pass": result.oldest_pass,
            "highest": result.highest,
            "sealed_as_failed": result.sealed_as_failed,
        }
    ]


@pytest.mark.parametrize("path", golden.messages("arc"), ids=lambda path: path.stem)
def test_golden(path: Path) -> None:
    golden.check(path, results)
