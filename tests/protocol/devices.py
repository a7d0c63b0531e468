"""A device without a browser of its own: the words in which its tests are written."""

from __future__ import annotations

from typing import Any

from werkzeug.test import TestResponse

from tests.protocol.portal import Portal, body
from tests.support.journey import Page, Person
from tests.support.service import CLIENT_SECRET, ISSUER, Service

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
ENDPOINT, PAGE = "/oauth/device_authorization", "/device"
SCOPE = "openid email offline_access investors.read"
KIOSK = "ims-kiosk"


class Device:
    """A kiosk, and Dana at her own browser."""

    def __init__(self, portal: Portal, client_id: str = KIOSK, *, secret: str | None = None) -> None:
        self.portal, self.service, self.client_id, self.secret = portal, portal.service, client_id, secret
        self.codes: dict[str, Any] = {}

    @classmethod
    def on(cls, service: Service, *, public: bool = True, mfa: str = "", **client: Any) -> Device:
        """The client, Dana, and the portal beside it."""
        portal = Portal.on(service, mfa=mfa)
        fields = {"redirect_uris": [], "grant_types": [GRANT, "refresh_token"], "scope": SCOPE, **client}
        service.client(KIOSK, public=public, client_name="IMS kiosk", **fields)
        return cls(portal, secret=None if public else CLIENT_SECRET)

    def post(self, path: str, *, address: str = "203.0.113.9", **form: str) -> TestResponse:
        """A request of the device."""
        named = {"client_id": self.client_id} if self.secret is None else {}
        return self.service.machine().post(
            path,
            base_url=ISSUER,
            data={**named, **form},
            auth=(self.client_id, self.secret) if self.secret else None,
            environ_base={"REMOTE_ADDR": address},
        )

    def start(self, **form: str) -> dict[str, Any]:
        """Ask for codes."""
        answer = self.post(ENDPOINT, **{"scope": SCOPE, **form})
        assert answer.status_code == 200, answer.text
        self.codes = body(answer)
        return self.codes

    def poll(self, **form: str) -> TestResponse:
        """Ask whether somebody has let it in."""
        return self.post("/oauth/token", grant_type=GRANT, **{"device_code": self.codes["device_code"], **form})

    def waits_for(self) -> str | None:
        """The error of a question; None when there are tokens."""
        return body(self.poll()).get("error")

    def sign_in(self, person: Person | None = None) -> Person:
        """Dana at her browser, signed in."""
        person = person or self.portal.dana
        self.service.sign_in(person)
        return person

    def enter(self, person: Person | None = None, code: str | None = None) -> Page:
        """Dana types the code."""
        person = person or self.portal.dana
        person.open(PAGE)
        return person.submit(user_code=code or self.codes["user_code"])

    def let_in(self) -> Page:
        """The whole walk of a person who is signed in."""
        self.enter()
        return self.portal.dana.submit(button="decision", value="allow")

    def tokens(self) -> dict[str, Any]:
        """From the first question to the tokens."""
        self.start()
        self.sign_in()
        page = self.let_in()
        assert page.h1 == "Your device is signed in", page.text
        answer = self.poll()
        assert answer.status_code == 200, answer.text
        return body(answer)

    def refresh(self, token: str, **form: str) -> TestResponse:
        """Use a refresh token."""
        return self.post("/oauth/token", grant_type="refresh_token", refresh_token=token, **form)
