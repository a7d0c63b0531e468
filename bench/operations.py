"""What is measured. A fired operation is one request that wrk repeats; a chained one needs the last answer for the next."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle
from typing import ClassVar
from urllib.parse import urlencode

from bench.browser import Browser, UnexpectedAnswer
from bench.party import Code, RelyingParty, basic
from bench.site import Person

#: One connection's work: does one unit, False when nothing is left to do. Raises: UnexpectedAnswer.
Lane = Callable[[], bool]


class Operation(ABC):
    """One row of the table."""

    name: ClassVar[str]
    title: ClassVar[str]


@dataclass(frozen=True)
class Shot:
    """A request for wrk; `bearers` are sent one after the other, each as its Authorization header."""

    url: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    bearers: tuple[str, ...] = ()


class Fired(Operation):
    """Repeated by wrk."""

    @abstractmethod
    def shot(self, party: RelyingParty) -> Shot:
        """The request, tried once: its answer was looked at, for wrk looks at the status alone. Raises: UnexpectedAnswer."""


class Chained(Operation):
    """Driven by our own process."""

    @abstractmethod
    def lanes(self, party: RelyingParty, *, count: int, expected: int) -> list[Lane]:
        """`count` lanes, made ready for about `expected` units together. Raises: UnexpectedAnswer."""


def _want(found: bool, what: str) -> None:
    if not found:
        raise UnexpectedAnswer(what)


class Discovery(Fired):
    """The metadata document."""

    name, title = "discovery", "discovery document"

    def shot(self, party: RelyingParty) -> Shot:
        """GET."""
        return Shot(party.discovery_url)


class Jwks(Fired):
    """The key set."""

    name, title = "jwks", "key set (JWKS)"

    def shot(self, party: RelyingParty) -> Shot:
        """GET."""
        url = party.url("jwks_uri")
        _want(bool(party.browser().get(url).json().get("keys")), "a key set without keys")
        return Shot(url)


class ClientCredentials(Fired):
    """A machine's access token."""

    name, title = "client_credentials", "client_credentials, JWT"

    def shot(self, party: RelyingParty) -> Shot:
        """POST to the token endpoint."""
        machine, url = party.site.machine, party.url("token_endpoint")
        form = {"grant_type": "client_credentials", "scope": machine.scope}
        authorization = {"Authorization": basic(machine)}
        answer = party.browser().post(url, form, headers=authorization)
        _want("access_token" in answer.json(), "an answer without an access token")
        headers = (*authorization.items(), ("Content-Type", "application/x-www-form-urlencoded"))
        return Shot(url, "POST", headers, urlencode(form))


class UserInfo(Fired):
    """What a person's access token tells about them."""

    name, title = "userinfo", "userinfo"
    #: Enough that a server which remembers the last tokens it checked has to look more than one up.
    TOKENS: ClassVar[int] = 64
    #: Well within the shortest lifetime a server is likely to give.
    FRESH_S: ClassVar[float] = 120.0

    def __init__(self) -> None:
        self._tokens: tuple[float, tuple[str, ...]] = (0.0, ())

    def shot(self, party: RelyingParty) -> Shot:
        """GET with a bearer token."""
        since, tokens = self._tokens
        if not tokens or time.monotonic() - since > self.FRESH_S:
            browser, backend = party.signed_in(party.site.people[0]), party.browser()
            tokens = tuple(
                str(party.redeem(backend, party.code_for(browser))["access_token"]) for _ in range(self.TOKENS)
            )
            self._tokens = (time.monotonic(), tokens)
        url = party.url("userinfo_endpoint")
        answer = party.browser().get(url, headers={"Authorization": f"Bearer {tokens[0]}"})
        _want("sub" in answer.json(), "an answer without a subject")
        return Shot(url, bearers=tokens)


class Refresh(Chained):
    """Rotation: each lane has a family of its own and always presents the last refresh token."""

    name, title = "refresh", "refresh with rotation"

    def lanes(self, party: RelyingParty, *, count: int, expected: int) -> list[Lane]:
        """New families each round, so that no family grows over the run."""
        return [self._lane(party, person) for person in party.site.people[:count]]

    def _lane(self, party: RelyingParty, person: Person) -> Lane:
        backend = party.browser()
        token = party.redeem(backend, party.code_for(party.signed_in(person)))["refresh_token"]

        def rotate() -> bool:
            nonlocal token
            token = party.refresh(backend, token)["refresh_token"]
            return True

        return rotate


class RedeemCode(Chained):
    """Tokens for an authorization code with PKCE; the codes are made beforehand and not counted."""

    name, title = "code", "code redemption with PKCE"

    def lanes(self, party: RelyingParty, *, count: int, expected: int) -> list[Lane]:
        """The round ends early when the codes are used up."""
        browsers = [party.signed_in(person) for person in party.site.people[:count]]

        def mint(browser: Browser) -> list[Code]:
            return [party.code_for(browser) for _ in range(expected // count + 1)]

        with ThreadPoolExecutor(count) as pool:
            return [self._lane(party, iter(codes)) for codes in pool.map(mint, browsers)]

    def _lane(self, party: RelyingParty, codes: Iterator[Code]) -> Lane:
        backend = party.browser()

        def redeem() -> bool:
            if (code := next(codes, None)) is None:
                return False
            party.redeem(backend, code)
            return True

        return redeem


class SignIn(Chained):
    """A whole sign-in: authorization request, sign-in page, password, code, tokens.

    Each person has a browser of their own and comes back to it after its session cookie is gone, over a new connection.
    """

    name, title = "sign-in", "sign-in end to end, password alone"

    def __init__(self) -> None:
        self._browsers: dict[Person, Browser] = {}
        self._turns: list[Iterator[Person]] = []

    def lanes(self, party: RelyingParty, *, count: int, expected: int) -> list[Lane]:
        """Each lane has people of its own; the first few people are left to the other operations."""
        if not self._turns:
            self._turns = [cycle(party.site.people[count + number :: count]) for number in range(count)]
        return [self._lane(party, people) for people in self._turns]

    def _lane(self, party: RelyingParty, people: Iterator[Person]) -> Lane:
        backend = party.browser()

        def sign_in() -> bool:
            person = next(people)
            if (browser := self._browsers.get(person)) is None:
                browser = self._browsers[person] = party.browser()
            browser.restart()
            try:
                party.redeem(backend, party.sign_in(browser, person))
            finally:
                browser.disconnect()
            return True

        return sign_in


OPERATIONS: dict[str, Operation] = {
    operation.name: operation
    for operation in (Discovery(), Jwks(), ClientCredentials(), Refresh(), RedeemCode(), UserInfo(), SignIn())
}
