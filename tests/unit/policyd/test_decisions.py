"""The log line of a decision, as JSON and for people."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import pytest

from gatepost.config import LogSettings
from policyd.decisions import DecisionLog, _shown
from policyd.engine import Engine
from tests.unit.policyd.requests import request

PROXIES = ["10.0.0.0/8", "2001:db8::/32"]


def line(**attributes: str) -> dict[str, Any]:
    """Return the log line of a request, and check that the console says the same."""

    async def scene() -> dict[str, Any]:
        asked = request(**attributes)
        decision = await Engine([], PROXIES).decide(asked)
        log = DecisionLog(LogSettings(format="json"))
        written = io.StringIO()
        log._output = written
        log.write(asked, decision, 0.001)
        log.flush()
        found: dict[str, Any] = json.loads(written.getvalue())
        shown = _shown(asked, decision, 0.001)
        assert {key: found.get(key) for key in shown if key != "seconds"} == {
            key: value for key, value in shown.items() if key != "seconds"
        }
        return found

    return asyncio.run(scene())


def test_the_client_is_named() -> None:
    found = line()
    assert (found["client"], found["client_name"]) == ("192.0.2.7", "mx1.example.net")
    assert "proxy" not in found
    assert line(client_address="unknown", client_name="unknown")["client"] == "unknown"
    assert "client" not in line(client_address="", client_name="")


@pytest.mark.parametrize("address", ["10.1.2.3", "2001:db8::7"])
def test_behind_a_proxy_the_address_that_postfix_gave_is_named(address: str) -> None:
    found = line(client_address=address, client_name="balancer.example.org")
    assert found["findings"] == "client address is a proxy's"
    assert (found["client"], found["proxy"]) == (address, address)
    assert found["client_name"] == "balancer.example.org"
    assert found["helo"] == "mx1.example.net"
