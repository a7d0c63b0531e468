"""A relying party and the person it sends to us: the words in which the tests of the protocol are written."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jws
from werkzeug.test import TestResponse

from authsvc.accounts.models import Membership
from authsvc.sessions import levels
from tests.support.journey import Page, Person
from tests.support.service import CALLBACK, CLIENT_SECRET, DANA, DANAS_PHONE, PASSWORD, Service, pkce

AUTHORIZE, TOKEN, USERINFO, LOGOUT = "/oauth/authorize", "/oauth/token", "/oauth/userinfo", "/oauth/logout"
PAR, CONSENT = "/oauth/par", "/oauth/consent"
EVERYTHING = "openid profile email offline_access investors.read"
PASSWORD_ONLY, REMEMBERED, TWO_STEP, TWO_FACTOR = levels.ORDER
ADDRESS = {"email": DANA, "sms": DANAS_PHONE}


def body(response: TestResponse) -> dict[str, Any]:
    """The JSON object that was answered."""
    assert response.mimetype == "application/json", response.mimetype
    found: dict[str, Any] = response.get_json()
    assert isinstance(found, dict)
    return found


def sent_back(response: TestResponse, *, to: str = CALLBACK) -> dict[str, str]:
    """The parameters of the redirect that carries an answer to the client; each is there once."""
    assert response.status_code in (302, 303), (response.status_code, response.text)
    location = response.headers["Location"]
    assert location.partition("?")[0] == to.partition("?")[0], location
    found = parse_qs(urlsplit(location).query, keep_blank_values=True, strict_parsing=True)
    assert all(len(values) == 1 for values in found.values()), location
    return {name: values[0] for name, values in found.items()}


def header(token: str) -> dict[str, Any]:
    """The protected header of a token."""
    return dict(jws.extract_compact(token.encode()).headers())


class Portal:
    """One client, one PKCE pair, and Dana at her browser."""

    def __init__(self, service: Service, membership: Membership, client_id: str = "ims-portal") -> None:
        self.service, self.membership, self.client_id = service, membership, client_id
        self.is_public = False
        self.verifier, self.challenge = pkce()
        self.dana = service.person()
        self.asked = 0

    @classmethod
    def on(
        cls, service: Service, *, mfa: str = "", remember: bool = True, public: bool = False, **client: Any
    ) -> Portal:
        """The client ims-portal and Dana in Northgate; `mfa` as Service.account takes it, the rest is client metadata."""
        portal = cls(service, service.member(service.account(mfa=mfa, remember=remember)))
        service.client(public=public, **client)
        portal.is_public = public
        return portal

    @property
    def credentials(self) -> tuple[str, str] | None:
        """What the client authenticates with; None for a public one."""
        return None if self.is_public else (self.client_id, CLIENT_SECRET)

    def request(self, **changed: str | None) -> dict[str, str]:
        """A proper authorization request with what the test changes; None leaves a parameter out."""
        return self.service.authorization_request(self.challenge, **{"client_id": self.client_id, **changed})

    def ask(self, person: Person | None = None, **changed: str | None) -> TestResponse:
        """The bare answer to an authorization request from a person's browser; no redirect is followed."""
        self.asked += 1
        return self.get(AUTHORIZE, self.request(**changed), person or self.dana)

    def push(self, *, client: tuple[str, str] | None = None, form: Any = None, **changed: str | None) -> TestResponse:
        """The answer to a pushed request; `form` instead of a proper one."""
        fields = form if form is not None else self.request(**changed)
        chosen = client or self.credentials
        headers = {}
        if chosen is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(":".join(chosen).encode()).decode()
        return self.service.machine().post(
            PAR, base_url=self.service.services.settings.issuer, data=fields, headers=headers
        )

    def pushed(self, **changed: str | None) -> str:
        """The link of a pushed request."""
        answer = self.push(**changed)
        assert answer.status_code == 201, answer.text
        return str(body(answer)["request_uri"])

    def open_link(self, request_uri: str, person: Person | None = None, **more: str) -> TestResponse:
        """The bare answer to the link in a person's browser."""
        return self.get(
            AUTHORIZE, {"client_id": self.client_id, "request_uri": request_uri, **more}, person or self.dana
        )

    def get(self, path: str, query: Any = None, person: Person | None = None, **headers: str) -> TestResponse:
        """A GET, from a person's browser or from a caller without cookies."""
        caller = person.client if person else self.service.machine()
        return caller.get(
            path,
            base_url=self.service.services.settings.issuer,
            query_string=query,
            headers=headers,
            environ_base={"REMOTE_ADDR": person.address if person else "192.0.2.1"},
        )

    def sign_in(self, *, method: str = "", remember: bool = False, **changed: str | None) -> Page:
        """Dana follows the client's link and shows whatever the pages ask, until she is back or asked something new."""
        page = self.dana.open(AUTHORIZE, **self.request(**changed))
        return self.go_on(page, method=method, remember=remember)

    def go_on(self, page: Page, *, method: str = "", remember: bool = False) -> Page:
        """Dana shows what this and the next pages ask."""
        if page.h1 == "Sign in":
            page = self.dana.submit(email=DANA, password=PASSWORD)
        if page.h1 == "Choose how to get your code" and method:
            page = self.dana.submit(method=method)
        if page.h1 == "Enter your code" and method:
            ticked = {"remember": "1"} if remember else {}
            page = self.dana.submit(code=self.service.code_for(ADDRESS[method]), **ticked)
        return page

    def code(self, **how: Any) -> str:
        """An authorization code, not redeemed yet."""
        self.sign_in(**how)
        return self.dana.callback()["code"]

    def redeem(self, code: str, **form: str) -> TestResponse:
        """Send the code to the token endpoint; an empty value leaves a field out."""
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": self.verifier,
            **({"client_id": self.client_id} if self.is_public else {}),
            **form,
        }
        return self.service.token(client=self.credentials, **{name: value for name, value in fields.items() if value})

    def tokens(self, **how: Any) -> dict[str, Any]:
        """The whole walk: sign in, redeem."""
        answer = self.redeem(self.code(**how))
        assert answer.status_code == 200, answer.text
        return body(answer)

    def refresh(self, refresh_token: str, **form: str) -> TestResponse:
        """Use a refresh token."""
        named = {"client_id": self.client_id} if self.is_public else {}
        return self.service.token(
            client=self.credentials, grant_type="refresh_token", refresh_token=refresh_token, **named, **form
        )

    def userinfo(self, access_token: str, **headers: str) -> TestResponse:
        """Ask who the token is about."""
        return self.get(USERINFO, Authorization=f"Bearer {access_token}", **headers)

    def is_dead(self, tokens: dict[str, Any]) -> bool:
        """Whether nothing more comes of these tokens: the refresh token is refused, and userinfo with the access token."""
        refused = self.refresh(tokens["refresh_token"])
        assert refused.status_code in (200, 400), refused.text
        assert refused.status_code == 200 or body(refused)["error"] == "invalid_grant"
        told = self.userinfo(tokens["access_token"])
        assert told.status_code in (200, 401), told.text
        assert (refused.status_code == 200) == (told.status_code == 200), "half dead"
        return refused.status_code == 400

    def claims(self, token: str) -> dict[str, Any]:
        """The claims of a token, its signature checked."""
        return self.service.claims(token)
