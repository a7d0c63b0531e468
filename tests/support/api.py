"""A machine that calls the account API. Every answer it gets is held against the published document."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from werkzeug.test import TestResponse

from authsvc.accounts.api_scopes import API_SCOPES
from authsvc.api.document import document
from authsvc.api.operations import OPERATIONS
from tests.support.service import CLIENT_SECRET, ISSUER, Service

PROBLEM = "application/problem+json"
#: Every scope but the one that tells two operators apart.
EVERY_SCOPE = " ".join(API_SCOPES)


@cache
def published() -> dict[str, Any]:
    """The document."""
    return document(ISSUER)


@dataclass
class Machine:
    """A client with some scopes, for some accounts, and its token."""

    service: Service
    client_id: str
    token: str

    @classmethod
    def on(
        cls,
        service: Service,
        client_id: str = "desk",
        *,
        scope: str = EVERY_SCOPE,
        accounts: list[str] | None = None,
        **fields: Any,
    ) -> Machine:
        """Registered, and with a fresh token for the issuer."""
        service.client(
            client_id,
            grant_types=["client_credentials"],
            redirect_uris=[],
            post_logout_redirect_uris=[],
            scope=scope,
            accounts=accounts,
            **fields,
        )
        machine = cls(service, client_id, "")
        machine.renew()
        return machine

    def renew(self, **form: str) -> None:
        """Ask for a token."""
        answer = self.service.token(
            client=(self.client_id, CLIENT_SECRET), grant_type="client_credentials", resource=ISSUER, **form
        )
        assert answer.status_code == 200, answer.text
        self.token = answer.json["access_token"] if answer.json else ""

    def call(self, method: str, path: str, *, token: str | None = None, **options: Any) -> TestResponse:
        """One call; `path` below /api/v1. The answer is one that the document promises."""
        self.service.forget_addresses()
        token = self.token if token is None else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= options.pop("headers", {})
        url = path if path.startswith("/api") else f"/api/v1{path}"
        answer = self.service.machine().open(url, method=method, base_url=ISSUER, headers=headers, **options)
        assert_as_published(method, url, answer)
        return answer

    def get(self, path: str, status: int = 200, **query: Any) -> Any:
        """The JSON of an answer with this status."""
        return body(self.call("GET", path, query_string=query or None), status)

    def post(self, path: str, status: int = 200, **values: Any) -> Any:
        """The JSON of an answer with this status."""
        return body(self.call("POST", path, json=values), status)

    def patch(self, path: str, status: int = 200, **values: Any) -> Any:
        """The JSON of an answer with this status."""
        return body(self.call("PATCH", path, json=values), status)

    def delete(self, path: str, status: int = 204) -> Any:
        """The JSON of an answer with this status."""
        return body(self.call("DELETE", path), status)


def body(answer: TestResponse, status: int) -> Any:
    """What it says."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    return answer.json if answer.data else None


def assert_as_published(method: str, url: str, answer: TestResponse) -> None:
    """Kept by nobody, set no cookie, opened to no site; and of a shape that the document has for this status."""
    assert "Set-Cookie" not in answer.headers
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"
    described = _described(method, url)
    if described is None:
        schema: dict[str, Any] | None = {"$ref": "#/components/schemas/Problem"}
        media_type = PROBLEM
    else:
        assert str(answer.status_code) in described["responses"], (method, url, answer.status_code, answer.text)
        content = described["responses"][str(answer.status_code)].get("content", {})
        schema = next((kind["schema"] for kind in content.values()), None)
        media_type = next(iter(content), "")
    if schema is None:
        assert answer.data == b""
        return
    assert answer.mimetype == media_type
    Draft202012Validator({**schema, "components": published()["components"]}).validate(answer.json)
    if media_type == PROBLEM:
        said = answer.json or {}
        assert (said["status"], said["instance"]) == (answer.status_code, answer.headers["X-Request-Id"])


def _described(method: str, url: str) -> dict[str, Any] | None:
    parts = url.partition("?")[0].split("/")
    for operation in OPERATIONS:
        names = operation.path.split("/")
        fits = len(names) == len(parts) and all(
            there == here or (there.startswith("{") and here) for there, here in zip(names, parts, strict=False)
        )
        if fits and operation.method == method:
            found: dict[str, Any] = published()["paths"][operation.path][method.lower()]
            return found
    return None
