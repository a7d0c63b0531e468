"""The link that verifies an address (ux.md S6, S11; domain E1 to E5; security.md RC-06, RC-10)."""

from __future__ import annotations

from authsvc.accounts.models import User
from authsvc.audit import Event
from tests.support.links import newest_link
from tests.support.service import DANA, Service


def reminded(service: Service) -> tuple[str, str]:
    """Dana, whose address nobody has proved, and the link she was mailed."""
    dana = service.member(service.account(), verified=False)
    with service.services.database.transaction() as tx:
        service.services.courier.send_link(
            tx, "verify_email", user_id=dana.user_id, account_id=dana.account_id, at=service.clock.now(), browser=""
        )
    return dana.user_id, newest_link(service, "verify")


def is_verified(service: Service, user_id: str) -> bool:
    """As stored."""
    with service.services.database.transaction(read_only=True) as tx:
        return tx.get_one(User, user_id).email.verified_at is not None


def test_e4_one_press_verifies_the_address(service: Service) -> None:
    """Opening the link spends nothing; the button does it; the trail says how."""
    user_id, path = reminded(service)
    person = service.person()
    for _ in range(5):
        page = person.open(path)
    assert page.h1 == "Verify your email"
    assert f"Press the button to confirm that {DANA} is yours." in page.text
    assert not is_verified(service, user_id)
    page = person.submit()
    assert (page.h1, page.status) == ("Email verified", 200)
    assert "You can close this page or sign in." in page.text
    assert is_verified(service, user_id)
    (event,) = service.events(Event.EMAIL_VERIFIED)
    assert event.fields == {"by": "link"}


def test_a_repeat_visit_says_it_is_done_never_an_error(service: Service) -> None:
    """On whatever browser, however late, and after verifying in another way."""
    _, path = reminded(service)
    person = service.person()
    person.open(path)
    form = dict(person.here.forms[0].fields)
    assert [person.post("/verify", form).status_code for _ in range(2)] == [303, 303]
    for days in (0, 3):
        service.pass_time(days=days)
        page = service.person().open(path)
        assert (page.h1, page.status) == ("This email is already verified", 200)


def test_s11_an_expired_link_says_what_to_do(service: Service) -> None:
    """24 hours; signing in sends a code."""
    _, path = reminded(service)
    service.pass_time(hours=24)
    page = service.person().open(path)
    assert (page.status, page.h1) == (410, "This link has expired")
    assert "Sign in and we’ll send a new one." in page.text
    assert page.links["Go to sign in"] == "/sign-in"


def test_rc_10_it_proves_the_address_it_went_to_and_no_later_one(service: Service) -> None:
    """The address was changed after the mail."""
    user_id, path = reminded(service)
    person = service.person()
    person.open(path)
    form = dict(person.here.forms[0].fields)
    with service.services.database.transaction() as tx:
        email = tx.get_one(User, user_id).email
        email.address = email.canonical = "dana@elsewhere.example"
    person.post("/verify", form)
    assert not is_verified(service, user_id)
    page = person.open("/verify")
    assert (page.status, page.h1) == (410, "This link was replaced")


def test_nobody_is_signed_in_by_it(service: Service) -> None:
    """It proves a mailbox, not a person."""
    _, path = reminded(service)
    person = service.person()
    person.open(path)
    person.submit()
    assert person.cookie("sid") is None
    assert person.open("/").h1 == "Sign in"


def test_a_verified_address_is_not_reminded(service: Service) -> None:
    """Between the wish and the sending the person may have verified."""
    dana = service.member(service.account())
    with service.services.database.transaction() as tx:
        service.services.courier.send_link(
            tx, "verify_email", user_id=dana.user_id, account_id=dana.account_id, at=service.clock.now(), browser=""
        )
    service.deliver()
    assert service.emails.messages == []
