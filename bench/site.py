"""What a load generator knows of the server under test. Plain values, for it goes to another process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bench.browser import Answer, Browser


@dataclass(frozen=True)
class Client:
    """A registered client; `redirect_uri` is empty for a machine."""

    client_id: str
    secret: str
    scope: str
    redirect_uri: str = ""


@dataclass(frozen=True)
class Person:
    """Somebody who signs in with a password alone."""

    email: str
    password: str


#: Takes a browser from the sign-in page's address to the answer that redirects to the client, whatever pages come
#: between: `(browser, address of the sign-in page, person, client's redirect address) -> that answer`.
SignInPages = Callable[[Browser, str, Person, str], Answer]


@dataclass(frozen=True)
class Site:
    """A server that is ready. `target` names its entry in targets.py, which knows its sign-in pages."""

    target: str
    base_url: str
    machine: Client
    web: Client
    people: tuple[Person, ...]
    discovery: str = "/.well-known/openid-configuration"

    def as_plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Site:
        """From JSON."""
        return cls(
            plain["target"],
            plain["base_url"],
            Client(**plain["machine"]),
            Client(**plain["web"]),
            tuple(Person(**person) for person in plain["people"]),
            plain["discovery"],
        )
