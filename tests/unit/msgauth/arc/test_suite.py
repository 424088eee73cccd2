"""The ARC test suite: 171 chains to verify and 17 messages to seal."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from msgauth.arc import ArcSealer, ArcVerifier, SealSpec
from msgauth.keys import SigningKey
from msgauth.message import parse_message
from msgauth.tags import parse_tags
from tests import conformance
from tests.unit.msgauth.dkim.dkimpy_oracle import dkimpy_chain, dkimpy_lone_seal
from tests.unit.msgauth.dkim.test_dkimpy import raw_message
from tests.unit.msgauth.keyring import run

SUITE = conformance.suite("arc")

# What the suite lets pass and the RFC does not
STRICTER = {
    "ams_fields_c_na": "RFC 8617 section 4.1.2 and RFC 6376 section 3.5: c= is simple/simple then",
    "ams_fields_h_empty": "RFC 6376 section 3.5: h= MUST NOT be empty",
    "ams_fields_h_mis_hdr": "RFC 6376 section 3.5, sig-h-tag: no empty name between colons",
}


def cases(name: str) -> list[Any]:
    scenarios = yaml.safe_load_all((SUITE / f"arc-draft-{name}-tests.yml").read_text())
    return [
        pytest.param(scenario, test, id=test_name)
        for scenario in scenarios
        for test_name, test in scenario["tests"].items()
    ]


def records(scenario: dict[str, Any]) -> dict[str, str]:
    texts = scenario.get("txt-records") or {}
    return {name: "".join(text.split("\n")) for name, text in texts.items()}


def raw(test: dict[str, Any]) -> bytes:
    message: str = test["message"] or ""
    return message.encode()


@pytest.mark.parametrize(("scenario", "test"), cases("validation"))
def test_validation(
    scenario: dict[str, Any], test: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    fields, body = parse_message(raw(test))
    verifier = ArcVerifier(fields)
    verifier.body(body)
    result = run(verifier.finish(1_700_000_000), records(scenario))
    expected = (test["cv"] or "fail").lower()
    if request.node.callspec.id in STRICTER:
        expected = "fail"
    assert (result.status, result.reason) == (expected, result.reason)


def consolidated(test: dict[str, Any]) -> str:
    """All results of the host `srv-id` in one payload, as the suite's README wants it."""
    fields, _ = parse_message(raw(test))
    results: list[str] = []
    for field in fields:
        host, _, rest = field.text.partition(";")
        if field.key == b"authentication-results" and host.strip() == test["srv-id"]:
            results += [one.strip() for one in rest.split(";") if one.strip()]
    return ";\r\n  ".join([test["srv-id"], *results])


@pytest.mark.parametrize(("scenario", "test"), cases("sign"))
def test_sealing(scenario: dict[str, Any], test: dict[str, Any]) -> None:
    # The order and spelling of tags is free, so b= cannot be compared; what it covers can.
    fields, body = parse_message(raw(test))
    verifier = ArcVerifier(fields)
    verifier.body(body)
    chain = run(verifier.finish(1_700_000_000), records(scenario))
    key = SigningKey.parse(scenario["privatekey"].encode())
    sealer = ArcSealer(SealSpec(scenario["domain"], scenario["sel"], key), fields)
    sealer.body(body)
    sealed = sealer.finish(test["t"], chain, consolidated(test))
    if not test["AS"]:
        assert sealed == ()
        return
    seal, message_signature, results = sealed
    expected_seal = parse_tags(test["AS"])
    expected_signature = parse_tags(test["AMS"])
    got_seal = parse_tags(seal.value.decode())
    for tag in ("a", "cv", "d", "i", "s", "t"):
        assert got_seal[tag] == expected_seal[tag]
    got_signature = parse_tags(message_signature.value.decode())
    for tag in ("a", "bh", "c", "d", "i", "s", "t"):
        assert got_signature[tag].split() == expected_signature[tag].split()
    assert results.text.split() == test["AAR"].split()

    plain = [field for field in fields if not field.key.startswith(b"arc-")]
    after = (*sealed, *fields)
    again = ArcVerifier(after)
    again.body(body)
    result = run(again.finish(1_700_000_000), records(scenario))
    failed = got_seal["cv"] == "fail"
    assert result.status == ("fail" if failed else "pass")
    if failed:
        # RFC 8617 section 5.1.2: the seal is made as if its set were the only one; dkimpy, which
        # looks at all sets, sees that it is good when it is
        assert dkimpy_lone_seal(raw_message((*sealed, *plain), body), records(scenario))
    else:
        assert dkimpy_chain(raw_message(after, body), records(scenario)) == "pass"
