"""Remembered devices and sessions (ux.md S18): one's own, listed and ended."""

from __future__ import annotations

import pytest

from tests.support.journey import Person
from tests.support.profile import (
    EDGE,
    IPHONE,
    asked_for_a_code,
    enter,
    is_signed_in,
    press,
    refreshes,
    stored,
    tokens,
)
from tests.support.service import DANA, PASSWORD, Service

PLACE = "/profile/security"
PRIYA = "priya@northgate.example"


@pytest.fixture
def dana(service: Service) -> Person:
    """Signed in on a remembered Mac; an iPhone is remembered and signed in as well."""
    service.member(service.account(mfa="email"))
    enter(service, remember=True, user_agent=IPHONE)
    service.pass_time(minutes=5)
    return enter(service, remember=True)


@pytest.fixture
def phone(service: Service, dana: Person) -> Person:
    """A third browser of hers: Edge, signed in with a code and not remembered."""
    return enter(service, user_agent=EDGE)


def form_of(person: Person, part: str) -> str:
    """The address of the first form or link of the security page that ends with `part`."""
    page = person.open(PLACE)
    found = [form.action for form in page.forms] + [a for a in page.response.text.split('"') if a.startswith(PLACE)]
    return next(action for action in found if action.endswith(part))


def test_the_lists_say_what_and_since_when(dana: Person) -> None:
    """Own session first, without a button; the newest device first; no place is guessed (D30)."""
    text = dana.open(PLACE).text
    assert "Chrome on macOS This deviceRemembered Nov 22, skips the code until Dec 22, 2026" in text
    assert "Safari on iPhoneRemembered Nov 22, skips the code until Dec 22, 2026" in text
    assert "Chrome on macOS This deviceActive now. Signed in today, 4:36 PM EST" in text
    assert "Safari on iPhoneLast active today, 4:31 PM EST" in text
    assert text.index("Active now") < text.index("Last active")
    assert "Place" not in text
    assert dana.here.response.text.count(">Sign out</a>") == 2  # the menu's, and the iPhone's


def test_a_device_that_is_removed_is_asked_for_a_code(dana: Person, service: Service) -> None:
    """And stays signed in: a device is no session. Removed twice, it says so."""
    dana.open(PLACE)
    action = dana.here.forms[0].action
    answered = dana.post(action, dana.here.forms[0].fields)
    assert answered.headers["Location"] == f"{PLACE}?done=device#devices-s"
    page = dana.open(f"{PLACE}?done=device")
    assert "Removed. That device will be asked for a code" in page.text
    assert page.text.count("skips the code until") == 1
    token = page.forms[0].fields
    assert dana.post(action, token).headers["Location"] == f"{PLACE}?done=device-over#devices-s"
    assert [e.fields["reason"] for e in service.events("device.ended")] == ["removed"]
    assert asked_for_a_code(service, dana)


def test_remove_all(dana: Person, service: Service) -> None:
    """One press, however many there are; then the page says that there are none."""
    dana.open(PLACE)
    page = press(dana, "/devices/remove-all")
    assert "Removed all." in page.text
    assert "No remembered devices. You’ll see one here when you choose Remember Me at sign-in." in page.text
    assert asked_for_a_code(service, dana)


def test_a_session_is_signed_out_after_the_question(dana: Person, service: Service, phone: Person) -> None:
    """Its refresh family ends with it; this session and its family go on."""
    service.client()
    here, there = tokens(service, dana), tokens(service, phone)
    page = dana.open(form_of(dana, "/sign-out"))
    assert page.h1 == "Sign out Edge on Windows?"
    assert "forget" not in page.forms[0].names()
    assert "Signed out there." in dana.submit(form=0).text
    assert not is_signed_in(phone)
    assert (refreshes(service, here), refreshes(service, there)) == (True, False)
    assert is_signed_in(dana)


@pytest.mark.parametrize("forget", [True, False])
def test_a_session_keeps_its_remembered_device_unless_told(dana: Person, service: Service, forget: bool) -> None:
    """S18: "and forget this device" on the page of the question, unticked."""
    page = dana.open(form_of(dana, "/sign-out"))
    assert page.h1 == "Sign out Safari on iPhone?"
    assert "and forget this device" in page.text
    page = dana.submit(**({"forget": "1"} if forget else {}), form=0)
    assert page.text.count("skips the code until") == (1 if forget else 2)


def test_signing_out_everywhere_else(dana: Person, service: Service, phone: Person) -> None:
    """S18: "Signed out of 2 other sessions."; remembered devices stay, for nobody asked to forget them."""
    dana.open(PLACE)
    page = press(dana, "/sessions/sign-out-others")
    assert "Signed out of 2 other sessions." in page.text
    assert "Last active" not in page.text
    assert page.text.count("skips the code until") == 2
    assert not is_signed_in(phone)
    assert is_signed_in(dana)
    reasons = [event.fields["reason"] for event in service.events("session.ended")]
    assert reasons == ["signed_out_everywhere_else"] * 2


def test_a_session_that_is_gone_is_said_to_be_gone(dana: Person, service: Service, phone: Person) -> None:
    """S18: "That session had already ended." - signed out there meanwhile, or timed out; on the page and on the form."""
    place = form_of(dana, "/sign-out")
    fields = dana.open(place).forms[0].fields
    phone.open("/sign-out")
    phone.submit(form=0)
    assert dana.post(place, fields).headers["Location"] == f"{PLACE}?done=session-over#sessions-s"
    assert dana.open(place).path == f"{PLACE}?done=session-over"
    assert "That session had already ended." in dana.here.text
    iphone = form_of(dana, "/sign-out")
    dana.open(iphone)
    service.pass_time(minutes=26)
    assert dana.open(PLACE).h1 == "My Profile"
    assert "iPhoneLast active" not in dana.here.text


@pytest.mark.parametrize("act", ["remove", "remove-all", "sign-out", "sign-out-others"])
def test_ending_others_needs_a_fresh_proof(dana: Person, service: Service, phone: Person, act: str) -> None:
    """The password and the code again after a while; then the question stands there, and nothing was done meanwhile."""
    action = form_of(dana, f"/{act}")
    fields = dana.here.forms[0].fields
    service.pass_time(minutes=16)
    answered = dana.post(action, fields)
    assert answered.headers["Location"].startswith("/confirm?continue=%2Fprofile%2Fsecurity%2F")
    assert "for=sessions&code=1" in answered.headers["Location"]
    assert service.events("session.ended") + service.events("device.ended") + service.events("device.all_ended") == []
    dana.open(action)
    dana.submit(password=PASSWORD)
    page = dana.submit(code=service.code_for(DANA))
    assert page.path == action
    assert page.h1.endswith("?")
    assert dana.submit(form=0).path.startswith(f"{PLACE}?done=")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_tn01_anybody_elses_row_is_not_found(dana: Person, service: Service, method: str) -> None:
    """TN-01: every id of another person, and any other text, is 404; the trail says who tried. Nothing ends."""
    service.member(stored(service).memberships[0].account, PRIYA)
    priya = enter(service, PRIYA, remember=True)
    device = priya.cookie("remember-").partition(".")[0]
    session = service.events("session.started")[-1].session_id
    token = dana.open(PLACE).forms[0].fields["csrf_token"]
    for path in (
        f"{PLACE}/devices/{device}/remove",
        f"{PLACE}/sessions/{session}/sign-out",
        f"{PLACE}/devices/{'0' * 32}/remove",
        f"{PLACE}/sessions/%00/sign-out",
        f"{PLACE}/devices/{session}/remove",
    ):
        answered = dana._send(method, path, data={"csrf_token": token, "forget": "1"})
        assert answered.status_code == 404, path
    assert [e.fields["what"] for e in service.events("access.refused")] == [
        *("remembered_device", "session", "remembered_device", "session", "remembered_device"),
    ]
    assert is_signed_in(priya)
    assert not asked_for_a_code(service, priya, PRIYA)


def test_d14_devices_and_sessions_of_another_account_say_where_they_are(service: Service) -> None:
    """All of the person's are there, with the account's name where it is not the one they are in."""
    service.member(service.account(mfa="email"))
    user = stored(service)
    service.member(service.account("westgate", mfa="email"), user=user)
    enter(service, remember=True, account="westgate", user_agent=IPHONE)
    dana = enter(service, account="northgate")
    text = dana.open(PLACE).text
    assert "Safari on iPhoneWestgate Capital Partners. Remembered Nov 22" in text
    assert "Safari on iPhoneWestgate Capital Partners. Last active today" in text


def test_what_the_page_says_where_no_codes_are_asked(service: Service) -> None:
    """S18's words while Multi-Factor Authentication is off, and no button that would do nothing."""
    service.member(service.account(mfa=""))
    text = enter(service).open(PLACE).text
    assert "Northgate doesn’t ask for codes, so nothing is skipped yet." in text
    assert "Remove all" not in text
    assert "Sign out everywhere else" not in text


def test_devices_that_are_void_are_not_listed(dana: Person, service: Service) -> None:
    """Expired, or ended by something of D6: what is listed skips the code today."""
    user_id = stored(service).id
    with service.services.database.transaction() as tx:
        service.services.devices.forget_all(tx, reason="test", user_id=user_id)
    assert "skips the code until" not in dana.open(PLACE).text
    device = service.events("device.remembered")[-1].fields["device_id"]
    token = dana.here.forms[0].fields if dana.here.forms else dana.open("/profile").forms[0].fields
    assert (
        dana.post(f"{PLACE}/devices/{device}/remove", token).headers["Location"].endswith("done=device-over#devices-s")
    )


@pytest.mark.parametrize("done", ["others-", "others-x", "others-9999", "others-²", "nothing", "others--1"])
def test_a_made_up_note_says_nothing(dana: Person, done: str) -> None:
    """The word in the address is one of ours, or nothing is said."""
    assert "other sessions" not in dana.open(PLACE, done=done).text


def test_lg12_a_get_ends_nothing(dana: Person, service: Service, phone: Person) -> None:
    """The pages of questions change nothing, whoever prefetches them."""
    for part in ("/remove", "/remove-all", "/sign-out", "/sign-out-others"):
        dana.open(form_of(dana, part))
    assert is_signed_in(phone)
    assert dana.open(PLACE).text.count("skips the code until") == 2
