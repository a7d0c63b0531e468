"""What tests of My Profile do again and again."""

from __future__ import annotations

from typing import Any

from authsvc.accounts.models import User
from authsvc.accounts.queries import user_by_email
from tests.support.journey import Page, Person
from tests.support.service import CLIENT_SECRET, DANA, PASSWORD, Service, pkce

EDGE = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1 Version/18.0 Mobile/15E148 Safari/604.1"
)
NEW = "dana.new@northgate.example"
NEW_PASSWORD = "seven wet otters juggle"


def stored(service: Service, email: str = DANA) -> User:
    """The person's row, with what belongs to it."""
    with service.services.database.transaction(read_only=True) as tx:
        user = user_by_email(tx, email)
        assert user is not None
        return user


def answer(service: Service, person: Person, email: str = DANA, *, remember: bool = False) -> None:
    """Whatever the sign-in asks, by email."""
    if person.here.h1 == "Choose how to get your code":
        person.submit(method="email")
    if person.here.h1 in ("Enter your code", "Verify your email"):
        person.submit(code=service.code_for(email), **({"remember": "1"} if remember else {}))


def enter(
    service: Service,
    email: str = DANA,
    *,
    password: str = PASSWORD,
    remember: bool = False,
    account: str | None = None,
    **options: str,
) -> Person:
    """Somebody who has just signed in, with a browser of their own."""
    person = service.person(**options)
    service.sign_in(person, email, password=password, **({"account": account} if account else {}))
    answer(service, person, email, remember=remember)
    assert person.open("/profile").h1 == "My Profile"
    return person


def press(person: Person, action: str, **typed: str) -> Page:
    """Send the form of the present page that goes to `action`."""
    at = next(n for n, form in enumerate(person.here.forms) if form.action.endswith(action))
    return person.submit(form=at, **typed)


def is_signed_in(person: Person) -> bool:
    """Whether the next page knows them."""
    return person.open("/profile/security").h1 == "My Profile"


def tokens(service: Service, person: Person) -> dict[str, Any]:
    """Tokens of this session, by the portal's own request."""
    verifier, challenge = pkce()
    person.open("/oauth/authorize", **service.authorization_request(challenge))
    return service.redeem(person, verifier)


def refreshes(service: Service, held: dict[str, Any]) -> bool:
    """Whether the family lives: uses its refresh token and keeps the next one."""
    got = service.token(
        client=("ims-portal", CLIENT_SECRET), grant_type="refresh_token", refresh_token=held["refresh_token"]
    )
    if got.status_code == 200:
        held.update(got.json)
    return got.status_code == 200


def asked_for_a_code(service: Service, person: Person, email: str = DANA, *, password: str = PASSWORD) -> bool:
    """Signs out and in again on the same browser: whether the device is remembered no more."""
    person.open("/sign-out")
    if person.here.h1 == "Sign out?":
        person.submit(form=0)
    service.sign_in(person, email, password=password)
    return person.here.h1 in ("Enter your code", "Choose how to get your code")


def subjects(service: Service, address: str) -> list[str]:
    """What was mailed to an address."""
    service.deliver()
    return [message.subject for message in service.emails.to(address)]
