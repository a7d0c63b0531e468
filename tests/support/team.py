"""An admin at the team's pages."""

from __future__ import annotations

from authsvc.accounts.models import Account, Membership
from tests.support.journey import Page, Person
from tests.support.service import DANA, DANAS_PHONE, PASSWORD, Service

PRIYA = "priya@northgate.example"
THEO = "theo@northgate.example"


def admin(service: Service, account: Account, email: str = DANA, **options: str) -> Person:
    """Signed in with the password, in an account that asks for no code."""
    person = service.person(**options)
    service.sign_in(person, email, account=account.slug)
    return person


def code_shown(service: Service, person: Person, email: str = DANA) -> Page:
    """Go through "Confirm it's you" for the page that asks for it, with a code by email."""
    page = person.here
    if page.h1 == "Confirm it’s you":
        page = person.submit(password=PASSWORD)
    if page.h1 == "Choose how to get your code":
        page = person.submit(method="email")
    return person.submit(code=service.code_for(email))


def northgate(service: Service, *, role: str = "admin", **fields: str) -> tuple[Account, Membership, Person]:
    """An account with one admin, Dana, signed in."""
    account = service.account(**fields)
    dana = service.member(account, DANA, role=role, sensitive=role == "super_admin", phone=DANAS_PHONE)
    return account, dana, admin(service, account)


def press(person: Person, path: str) -> Page:
    """Press the button whose form posts to `path`."""
    number = next(index for index, form in enumerate(person.here.forms) if form.action.endswith(path))
    return person.submit(form=number)
