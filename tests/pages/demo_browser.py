"""Somebody in front of the sample portal."""

from __future__ import annotations

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from authsvc.demo.portal import COOKIE
from tests.pages.demo_provider import ISSUER, PLACES, Provider

PORTAL = f"http://127.0.0.1:{PLACES.portal}"


class Browser:
    """Somebody at the portal; the sign-in service approves whatever it is sent."""

    def __init__(self, client: FlaskClient, provider: Provider) -> None:
        self.client, self.provider = client, provider

    def get(self, path: str, **query: str) -> TestResponse:
        return self.client.get(path, base_url=PORTAL, query_string=query)

    def post(self, path: str, **form: str) -> TestResponse:
        return self.client.post(path, base_url=PORTAL, data=form)

    def leave(self, path: str = "/sign-in") -> str:
        """Where `path` sends the browser, which is to the sign-in service."""
        location = self.get(path).headers["Location"]
        assert location.startswith(f"{ISSUER}/oauth/authorize?")
        return location

    def sign_in(self, path: str = "/sign-in", **changed: str) -> TestResponse:
        """Go to sign in and come back; the answer to that."""
        return self.get("/callback", **(self.provider.approve(self.leave(path)) | changed))

    def is_signed_in(self) -> bool:
        return "Sign out" in self.get("/").text

    def cookie(self) -> str:
        found = self.client.get_cookie(COOKIE, domain="127.0.0.1")
        assert found is not None
        return found.value
