"""Somebody who may switch Multi-Factor Authentication, and the form with which they do."""

from __future__ import annotations

from typing import Any

from authsvc.accounts.models import Account, AccountMfa
from tests.support.journey import Person
from tests.support.service import DANA, Service

SETTINGS = "/admin/settings"


def admin(service: Service, account: Account, **options: Any) -> Person:
    """Dana, who may change it: signed in, and has entered a code a moment ago."""
    service.member(account, role="admin", sensitive=True, **options)
    return signed_in(service)


def signed_in(service: Service, email: str = DANA) -> Person:
    """Somebody at their portal, with a code entered now."""
    person = service.person()
    service.sign_in(person, email)
    prove(service, person, email)
    return person


def prove(service: Service, person: Person, email: str = DANA) -> None:
    """Finish the sign-in if it asks for a code, then enter a fresh one as S2 asks for it."""
    if person.here.h1 == "Choose how to get your code":
        person.submit(method="email")
    if person.here.h1 == "Enter your code":
        person.submit(code=service.code_for(email))
        return
    if person.here.h1 == "Verify your email":
        person.submit(button="skip")
    person.open("/confirm?continue=%2Fsign-out&for=mfa&code=1")
    if person.here.h1 == "Choose how to get your code":
        person.submit(method="email")
    assert person.here.h1 == "Enter your code"
    service.pass_time(seconds=31)
    person.submit(code=service.code_for(email))


def switch(service: Service, account: Account, audience: str = "team") -> AccountMfa:
    """As it is stored."""
    with service.services.database.transaction(read_only=True) as tx:
        return tx.get_one(AccountMfa, (account.id, audience))


def choose(person: Person, *, on: bool, methods: str = "email", remember: bool = True) -> Any:
    """Fill in the form as a browser would send it, several methods included, and save."""
    person.open(SETTINGS)
    return send(person, on=on, methods=methods, remember=remember)


def send(person: Person, *, on: bool, methods: str = "email", remember: bool = True) -> Any:
    """Send the form that is open."""
    form = next(form for form in person.here.forms if "revision" in form.fields)
    data: dict[str, Any] = {name: form.fields[name] for name in ("csrf_token", "revision")}
    data["methods"] = methods.split("+") if methods else []
    data |= ({"mfa": "1"} if on else {}) | ({"remember_device": "1"} if remember else {})
    return person._follow(person.post(form.action, data))
