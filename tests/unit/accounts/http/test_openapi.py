"""The description of the API is that of the code, and is sound."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from accounts.http import openapi
from accounts.http.principals import AREAS
from accounts.http.resources.table import OPERATIONS
from tests.unit.accounts.http.api import Api, Who

ROOT = Path(__file__).parents[4]


def test_the_file_is_that_of_the_code(api: Api) -> None:
    written = (ROOT / "docs/reference/openapi.json").read_text()
    assert written == openapi.text(), "run `make docs`"
    served = api.call("GET", "/openapi.json", who=Who())
    assert (served.status, served.octets.decode()) == (200, written)


def test_every_operation_is_described() -> None:
    document = openapi.document()
    assert document["openapi"] == "3.1.0"
    found = {
        one["operationId"]: (method, path)
        for path, methods in document["paths"].items()
        for method, one in methods.items()
    }
    assert set(found) == {operation.name for operation in OPERATIONS}
    assert len({(one.method, one.path) for one in OPERATIONS}) == len(OPERATIONS)
    assert {operation.area for operation in OPERATIONS} == {*AREAS, ""}
    assert [operation.name for operation in OPERATIONS if not operation.area] == ["batch"]
    for path, methods in document["paths"].items():
        for one in methods.values():
            named = {p["name"] for p in one.get("parameters", ()) if p["in"] == "path"}
            assert named == set(re.findall(r"\{(\w+)\}", path))


def test_every_reference_leads_somewhere() -> None:
    document = openapi.document()
    used = set()

    def look(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(target := value.get("$ref"), str):
                used.add(target)
            for inner in value.values():
                look(inner)
        elif isinstance(value, list):
            for inner in value:
                look(inner)

    look(document)
    for target in used:
        _, kind, name = target.removeprefix("#/").split("/")
        assert name in document["components"][kind], target
    schemas = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert schemas <= used
    # what may be left out has no default: it stays as it is
    change = document["components"]["schemas"]["MailboxChange"]
    assert "default" not in json.dumps(change).replace("defaults", "")
    assert change["additionalProperties"] is False
    for name in ("MailboxOut", "AdministratorOut", "TokenOut", "AppPasswordOut"):
        secret = {"password", "secret", "digest", "token", "private"}
        assert not secret & set(document["components"]["schemas"][name]["properties"])
