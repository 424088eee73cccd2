"""OpenAPI 3.1 document of the API, made from the table of operations and the models."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from accounts.http.operation import PARAMETER, Operation
from accounts.http.paths import ROOT
from accounts.http.principals import SCOPES
from accounts.http.problems import MEDIA_TYPE
from accounts.http.resources.table import OPERATIONS

VERSION = "1.0"
_JSON = "application/json"
_REF = "#/components/schemas/{model}"


def document() -> dict[str, Any]:
    """Return the document."""
    schemas = _schemas()
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        path = PARAMETER.sub(r"{\1}", ROOT + operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Gatepost accounts",
            "version": VERSION,
            "description": "Domains, mailboxes, aliases and their belongings. docs/api.md "
            "explains it.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token": []}, {"login": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {"Problem": _PROBLEM},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": f"A token with scopes: {', '.join(SCOPES)}.",
                },
                "login": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The login of an administrator, or a mailbox with its password.",
                },
            },
        },
    }


def text() -> str:
    """Return the text of the document for a file."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def _schemas() -> dict[str, Any]:
    wanted: dict[tuple[type[BaseModel], Any], None] = {}
    for one in OPERATIONS:
        if one.takes is not None:
            wanted[one.takes, "validation"] = None
        if one.gives is not None:
            wanted[one.gives, "serialization"] = None
    _, found = models_json_schema(list(wanted), ref_template=_REF)
    schemas: dict[str, Any] = found["$defs"]
    schemas["Problem"] = _PROBLEM_SCHEMA
    return dict(sorted(schemas.items()))


def _operation(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    verb = "write" if operation.is_write else "read"
    scope = f"the scope {operation.area}:{verb}" if operation.area else "the scopes of its parts"
    made: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": f"For {operation.reach.value}. A token needs {scope}.",
        "tags": [operation.area or operation.name],
    }
    if parameters := [*_path_parameters(operation), *_query_parameters(operation)]:
        made["parameters"] = parameters
    if operation.takes is not None:
        made["requestBody"] = {"required": True, "content": _content(operation.takes, schemas)}
    made["responses"] = {
        str(operation.status.value): _success(operation, schemas),
        "default": {"$ref": "#/components/responses/Problem"},
    }
    return made


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in operation.parameters
    ]
    if operation.matches:
        found.append(
            {
                "name": "If-Match",
                "in": "header",
                "required": True,
                "description": "The ETag of the object as it was read, or *. 409 means that the "
                "object has changed since.",
                "schema": {"type": "string"},
            }
        )
    return found


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    schema = operation.query.model_json_schema()
    found = []
    for name, described in schema["properties"].items():
        parameter = {"name": name, "in": "query", "schema": described}
        if "description" in described:
            parameter["description"] = described.pop("description")
        described.pop("title", None)
        found.append(parameter)
    return found


def _success(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"description": operation.status.phrase}
    headers: dict[str, Any] = {}
    if operation.status is HTTPStatus.CREATED:
        headers["Location"] = {"schema": {"type": "string"}}
    if operation.gives is not None and not operation.is_list:
        if "version" in operation.gives.model_fields:
            headers["ETag"] = {"schema": {"type": "string"}}
        made["content"] = _content(operation.gives, schemas)
    if operation.gives is not None and operation.is_list:
        made["content"] = {
            _JSON: {
                "schema": {
                    "type": "object",
                    "required": ["items"],
                    "properties": {
                        "items": {"type": "array", "items": _reference(operation.gives, schemas)}
                    },
                }
            }
        }
        if operation.query is not None and "limit" in operation.query.model_fields:
            headers["Link"] = {
                "description": 'The next page, with rel="next".',
                "schema": {"type": "string"},
            }
    if headers:
        made["headers"] = headers
    return made


def _content(model: type[BaseModel], schemas: dict[str, Any]) -> dict[str, Any]:
    return {_JSON: {"schema": _reference(model, schemas)}}


def _reference(model: type[BaseModel], schemas: dict[str, Any]) -> dict[str, str]:
    assert model.__name__ in schemas  # noqa: S101
    return {"$ref": _REF.format(model=model.__name__)}


_PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "An error as in RFC 9457.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "A sentence for a person."},
        "errors": {
            "type": "array",
            "description": "The invalid fields.",
            "items": {
                "type": "object",
                "required": ["field", "text"],
                "properties": {"field": {"type": "string"}, "text": {"type": "string"}},
            },
        },
    },
}
_PROBLEM: dict[str, Any] = {
    "description": "An error.",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
