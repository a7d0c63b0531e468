"""The client's side of OAuth 2.0 and OpenID Connect, the same for every server: endpoints come from discovery."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urljoin, urlsplit

from bench.browser import REDIRECT, Answer, Browser, UnexpectedAnswer
from bench.site import Client, Person, SignInPages, Site


@dataclass(frozen=True)
class Code:
    """An authorization code and the verifier of its challenge (RFC 7636)."""

    code: str
    verifier: str


class RelyingParty:
    """Both clients of a site: the machine's, and the one people sign in to."""

    def __init__(self, site: Site, pages: SignInPages) -> None:
        self.site, self._pages = site, pages
        self.discovery_url = urljoin(site.base_url, site.discovery)
        self.metadata: dict[str, Any] = Browser(site.base_url).get(self.discovery_url).json()
        self._signed_in: dict[Person, Browser] = {}
        self._browsers: list[Browser] = []

    def url(self, name: str) -> str:
        """An endpoint by its name in the metadata (OpenID Discovery 3)."""
        return str(self.metadata[name])

    def browser(self) -> Browser:
        """A new one."""
        self._browsers.append(Browser(self.site.base_url))
        return self._browsers[-1]

    def requests_sent(self) -> int:
        """By all browsers together, so far."""
        return sum(browser.count for browser in self._browsers)

    def signed_in(self, person: Person) -> Browser:
        """This person's browser, signed in once and then kept."""
        if person not in self._signed_in:
            browser = self.browser()
            self.sign_in(browser, person)
            self._signed_in[person] = browser
        browser = self._signed_in[person]
        browser.disconnect()
        return browser

    def sign_in(self, browser: Browser, person: Person) -> Code:
        """From the authorization endpoint through the sign-in pages to the code. Raises: UnexpectedAnswer."""
        url, verifier = self._authorization()
        sent_on = browser.get(url, expect=REDIRECT)
        answer = self._pages(browser, urljoin(url, sent_on.location), person, self.site.web.redirect_uri)
        return Code(self._code_in(answer), verifier)

    def code_for(self, browser: Browser) -> Code:
        """A code at once, for a browser that is signed in. Raises: UnexpectedAnswer."""
        url, verifier = self._authorization()
        return Code(self._code_in(browser.get(url, expect=REDIRECT)), verifier)

    def redeem(self, backend: Browser, code: Code) -> dict[str, Any]:
        """The tokens for a code (RFC 6749 4.1.3). Raises: UnexpectedAnswer."""
        form = {
            "grant_type": "authorization_code",
            "code": code.code,
            "redirect_uri": self.site.web.redirect_uri,
            "code_verifier": code.verifier,
        }
        return self._tokens(backend, form)

    def refresh(self, backend: Browser, refresh_token: str) -> dict[str, Any]:
        """The next tokens; the refresh token must be another one (rotation). Raises: UnexpectedAnswer."""
        tokens = self._tokens(backend, {"grant_type": "refresh_token", "refresh_token": refresh_token})
        if tokens.get("refresh_token") in (None, refresh_token):
            raise UnexpectedAnswer("the refresh token was not rotated")
        return tokens

    def _authorization(self) -> tuple[str, str]:
        client, verifier = self.site.web, secrets.token_urlsafe(32)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": client.redirect_uri,
            "scope": client.scope,
            "state": secrets.token_urlsafe(16),
            "nonce": secrets.token_urlsafe(16),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self.url('authorization_endpoint')}?{urlencode(query)}", verifier

    def _code_in(self, answer: Answer) -> str:
        if not answer.location.startswith(self.site.web.redirect_uri):
            raise UnexpectedAnswer(f"sent on to {urlsplit(answer.location).path}, not to the client")
        found = parse_qs(urlsplit(answer.location).query)
        if "code" not in found:
            raise UnexpectedAnswer(f"no code: {found.get('error', ['?'])[0]}")
        return found["code"][0]

    def _tokens(self, backend: Browser, form: dict[str, str]) -> dict[str, Any]:
        answer = backend.post(self.url("token_endpoint"), form, headers={"Authorization": basic(self.site.web)})
        tokens: dict[str, Any] = answer.json()
        if "access_token" not in tokens:
            raise UnexpectedAnswer("an answer without an access token")
        return tokens


def basic(client: Client) -> str:
    """The client's Authorization header (RFC 6749 2.3.1)."""
    halves = f"{quote(client.client_id, safe='')}:{quote(client.secret, safe='')}"
    return "Basic " + base64.b64encode(halves.encode()).decode()
