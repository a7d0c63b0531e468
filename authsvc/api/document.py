"""The OpenAPI 3.1 document, made of the table of operations and their models."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from authsvc.accounts.api_scopes import API_SCOPES, PERSONS_SCOPES
from authsvc.api.operation import Operation
from authsvc.api.operations import OPERATIONS
from authsvc.api.schemas import Problem
from authsvc.web.api_problems import MEDIA_TYPE, WORDS

REF = "#/components/schemas/{model}"
#: What every operation may answer.
ALWAYS = frozenset({400, 401, 403, 429, 500, 503})
WITH_BODY = frozenset({413, 415})


@cache
def as_json(issuer: str) -> str:
    """The document of the service at `issuer`."""
    return json.dumps(document(issuer))


def document(issuer: str) -> dict[str, Any]:
    """As a value."""
    schemas, token_url = _schemas(), f"{issuer}/oauth/token"
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "authsvc account API",
            "version": "1",
            "description": "Accounts, Team Members, Sensitive Data Access, sessions, remembered devices, exports, clients "
            "and the audit trail, for IMS's own services and support, and people's notifications. A client asks for its own "
            "token with the grant client_credentials; what says `person` takes a person's, of their sign-in at the client. "
            "Either must be for this service (`resource`). Errors are application/problem+json.",
        },
        "servers": [{"url": issuer}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "client": {
                    "type": "oauth2",
                    "flows": {
                        "clientCredentials": {"tokenUrl": token_url, "scopes": _scopes(of_person=False)},
                    },
                },
                "person": {
                    "type": "oauth2",
                    "flows": {
                        "authorizationCode": {
                            "authorizationUrl": f"{issuer}/oauth/authorize",
                            "tokenUrl": token_url,
                            "refreshUrl": token_url,
                            "scopes": _scopes(of_person=True),
                        },
                    },
                },
            },
        },
    }


def _scopes(*, of_person: bool) -> dict[str, str]:
    return {name: opens for name, opens in API_SCOPES.items() if (name in PERSONS_SCOPES) == of_person}


def _schemas() -> dict[str, Any]:
    answers = {operation.answer for operation in OPERATIONS if operation.answer} | {Problem}
    bodies = {operation.body for operation in OPERATIONS if operation.body}
    wanted: list[tuple[type[BaseModel], Any]] = [(model, "serialization") for model in sorted(answers, key=_name)]
    wanted += [(model, "validation") for model in sorted(bodies, key=_name)]
    _, found = models_json_schema(wanted, ref_template=REF)
    schemas: dict[str, Any] = found["$defs"]
    return schemas


def _name(model: type[BaseModel]) -> str:
    return model.__name__


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.path.split("/")[3]],
        "security": [{"person" if operation.of_person else "client": [operation.scope]}],
        "parameters": [*_path_parameters(operation), *_query_parameters(operation)],
        "responses": {str(status): _success(operation, status) for status in operation.statuses}
        | {str(status): _problem(status) for status in sorted(_refusals(operation))},
    }
    if operation.body is not None:
        schema = {"$ref": REF.format(model=operation.body.__name__)}
        required = any(field.is_required() for field in operation.body.model_fields.values())
        described["requestBody"] = {"required": required, "content": {"application/json": {"schema": schema}}}
    elif operation.takes_file:
        described["requestBody"] = {"required": True, "content": {"application/octet-stream": {}}}
    return described


def _refusals(operation: Operation) -> frozenset[int]:
    has_body = operation.body is not None or operation.takes_file
    return ALWAYS | operation.refusals | (WITH_BODY if has_body else frozenset())


def _success(operation: Operation, status: int) -> dict[str, Any]:
    if operation.answer is None:
        return {"description": "Done; again is the same."}
    described: dict[str, Any] = {
        "description": (operation.answer.__doc__ or "").strip(),
        "content": {"application/json": {"schema": {"$ref": REF.format(model=operation.answer.__name__)}}},
    }
    if status == 201:
        described["headers"] = {"Location": {"schema": {"type": "string"}, "description": "Where it is now."}}
    return described


def _problem(status: int) -> dict[str, Any]:
    return {
        "description": WORDS[status][1],
        "content": {MEDIA_TYPE: {"schema": {"$ref": REF.format(model=Problem.__name__)}}},
    }


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", operation.path)
    ]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    schema = operation.query.model_json_schema(by_alias=True, ref_template=REF)
    return [
        {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": described}
        for name, described in schema.get("properties", {}).items()
    ]
