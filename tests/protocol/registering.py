"""A client that registers itself, in the words of RFC 7591 and 7592."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from werkzeug.test import TestResponse

from tests.support.service import ISSUER, Service

REGISTER = "/oauth/register"
HOME = "https://client.example"
MINIMAL: dict[str, Any] = {"redirect_uris": [f"{HOME}/callback"]}


class Registering:
    """Somebody with an initial access token, and what came of it."""

    def __init__(self, service: Service, *, uses: int = 1000) -> None:
        self.service = service
        self.token = self.new_token(uses=uses)

    def new_token(self, *, uses: int = 1, **lifetime: float) -> str:
        """An initial access token."""
        s = self.service.services
        with s.database.transaction() as tx:
            return s.initial_access.issue(tx, uses=uses, lifetime=timedelta(**(lifetime or {"days": 1})))

    def call(self, method: str, url: str = REGISTER, token: str | None = None, **options: Any) -> TestResponse:
        """A request from a machine; `json=` is what it sends."""
        parts = urlsplit(url)
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        headers |= options.pop("headers", {})
        return self.service.machine().open(path, method=method, base_url=ISSUER, headers=headers, **options)

    def post(self, metadata: Any = None, /, **changed: Any) -> TestResponse:
        """A registration; MINIMAL with what the test changes, or the document given."""
        return self.call("POST", token=self.token, json={**MINIMAL, **changed} if metadata is None else metadata)

    def registered(self, **changed: Any) -> dict[str, Any]:
        """What the server says it registered."""
        answer = self.post(**changed)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.get_json()
        return found

    def manage(self, method: str, client: dict[str, Any], **options: Any) -> TestResponse:
        """A request to registration_client_uri with registration_access_token."""
        return self.call(method, client["registration_client_uri"], client["registration_access_token"], **options)

    def error(self, answer: TestResponse, status: int = 400) -> str:
        """The error code; the answer holds nothing else of interest, and nobody keeps it."""
        assert answer.status_code == status, (answer.status_code, answer.text)
        assert answer.headers["Cache-Control"] == "no-store"
        return str(answer.get_json()["error"])
