"""The pages behind /device: enter the code, look, decide; nothing happens unasked (RFC 8628 3.3, 5.1, 5.4)."""

from __future__ import annotations

import pytest

from authsvc.accounts.models import PhoneNumber
from authsvc.oauth.device.user_code import read, shown
from authsvc.oauth.models import OAuthClient
from tests.protocol.devices import Device
from tests.protocol.portal import TWO_FACTOR, TWO_STEP, body
from tests.support.service import DANA, PASSWORD, Service

CONFIRM = "Let this device in?"
WRONG = "Check the code and enter it again. A code works for a few minutes, and once."


@pytest.fixture
def device(service: Service) -> Device:
    """A kiosk that shows its code."""
    device = Device.on(service)
    device.start()
    return device


def test_whoever_is_not_signed_in_signs_in_first_and_comes_back(device: Device) -> None:
    """The link with the code in it survives the sign-in; the code is filled in and not sent."""
    dana = device.portal.dana
    page = dana.open("/device", user_code=device.codes["user_code"])
    assert page.h1 == "Sign in"
    page = dana.submit(email=DANA, password=PASSWORD)
    assert page.h1 == "Connect a device"
    assert page.forms[0].fields["user_code"] == device.codes["user_code"]
    assert device.waits_for() == "authorization_pending"


def test_the_question_says_who_what_and_where_from(device: Device) -> None:
    """5.4: the person must be able to tell that it is their own device; the warning stands there for everybody."""
    device.sign_in()
    page = device.enter()
    assert page.h1 == CONFIRM
    for words in (
        "IMS kiosk wants to sign in as dana@northgate.example at Northgate Capital Partners.",
        device.codes["user_code"],
        "Did somebody send you this code or a link?",
        "See your email address",
        "Use investors.read on your behalf",
        "from 203.0.113.9. That isn’t the internet address of this browser.",
    ):
        assert words in page.text, page.text
    device.portal.dana.address = "203.0.113.9"
    assert "from the same internet address as this browser" in device.enter().text


def test_looking_changes_nothing(device: Device) -> None:
    """Every page by GET, as often as one likes: a mail scanner that opens the link lets nobody in."""
    dana = device.sign_in()
    device.enter()
    for path in (dana.here.path, "/device/done", "/device/denied", "/device/over", "/device"):
        for method in ("GET", "HEAD"):
            assert dana.client.open(path, method=method, base_url=dana.issuer).status_code in (200, 410)
    assert device.waits_for() == "authorization_pending"


def test_it_is_asked_every_time(device: Device) -> None:
    """Whatever was allowed before: a code by mail must never pass for a renewed one."""
    device.sign_in()
    device.let_in()
    device.start()
    assert device.enter().h1 == CONFIRM


def test_lg12_a_forged_yes_is_refused(device: Device) -> None:
    """Without the token of this very session, and from another site, nothing is decided."""
    dana = device.sign_in()
    device.enter()
    form = next(form for form in dana.here.forms if "id" in form.fields)
    forged = {name: value for name, value in form.fields.items() if name != "csrf_token"}
    assert dana.post("/device/confirm", {**forged, "decision": "allow"}).status_code == 400
    answer = dana.post("/device/confirm", {**form.fields, "decision": "allow"}, Origin="https://evil.test")
    assert answer.status_code == 400
    assert dana.post("/device", {"user_code": device.codes["user_code"]}).status_code == 400
    assert device.waits_for() == "authorization_pending"


@pytest.mark.parametrize("typed", ["", "BCDF", "WDJB-MJHTT", "AEIO-UAEI", "1234-5678", "<script>", "\0" * 8, "é" * 8])
def test_what_is_no_code_is_told_at_once(device: Device, typed: str) -> None:
    """What was typed stays; it costs no try."""
    device.sign_in()
    for _ in range(6):
        page = device.enter(code=typed or " ")
    assert (page.status, page.h1) == (422, "Connect a device")
    assert "Enter the 8 letters that your device shows." in page.text
    assert device.enter().h1 == CONFIRM


@pytest.mark.parametrize("written", ["{0}", "{0} ", "  {1} {2}.", "{1}{2}"])
def test_a_code_may_be_typed_as_one_likes(device: Device, written: str) -> None:
    """6.1: the server should ignore case and what stands between the letters."""
    device.sign_in()
    code = device.codes["user_code"].lower()
    assert device.enter(code=written.format(code, *code.split("-"))).h1 == CONFIRM


def test_unknown_used_and_expired_codes_look_alike(device: Device) -> None:
    """Nobody learns which codes there are."""
    device.sign_in()
    device.let_in()
    used = device.enter()
    device.start()
    device.service.pass_time(minutes=10)
    expired = device.enter()
    unknown = device.enter(code="BCDF-GHJK")
    assert [page.status for page in (used, expired, unknown)] == [422] * 3
    assert all(WRONG in page.text for page in (used, expired, unknown))


def test_guessing_codes_is_stopped_per_person(device: Device) -> None:
    """5.1: after five wrong ones within five minutes even the right one waits; the page says until when."""
    device.sign_in()
    for _ in range(5):
        assert device.enter(code="BCDF-GHJK").status == 422
    held_up = device.enter()
    assert held_up.status == 429
    assert "Too many tries. You can try again at" in held_up.text
    assert int(held_up.response.headers["Retry-After"]) <= 60
    reasons = [row.fields["reason"] for row in device.service.events("device_grant.user_code_wrong")]
    assert reasons == ["unknown"] * 5 + ["user_code_per_user"]
    device.service.pass_time(minutes=2)
    assert device.enter().h1 == CONFIRM
    assert device.codes["user_code"] not in device.service.everything_stored()


def test_the_address_of_the_question_is_no_way_to_guess(device: Device) -> None:
    """It names the row and the code; either alone is worth nothing."""
    dana = device.sign_in()
    device.enter()
    path = dana.here.path
    [pair] = [form.fields for form in dana.here.forms if "id" in form.fields]
    for wrong in ({"id": pair["id"], "user_code": "BCDF-GHJK"}, {"id": "0" * 32, "user_code": pair["user_code"]}, {}):
        page = dana.open("/device/confirm", **wrong)
        assert (page.status, page.h1) == (410, "This code has expired")
    assert dana.open(path).h1 == CONFIRM


def test_pressing_twice_is_answered_once(device: Device) -> None:
    """The second press hears that nothing is left to decide."""
    dana = device.sign_in()
    device.enter()
    form = next(form for form in dana.here.forms if "id" in form.fields).fields
    ends = [dana.post("/device/confirm", {**form, "decision": "allow"}).headers["Location"] for _ in range(2)]
    assert ends == ["/device/done", "/device/over"]
    assert device.waits_for() is None


def test_anything_but_allow_is_no(device: Device) -> None:
    """A form without a decision is not consent."""
    dana = device.sign_in()
    device.enter()
    form = next(form for form in dana.here.forms if "id" in form.fields).fields
    assert dana.post("/device/confirm", {**form}).headers["Location"] == "/device/denied"
    assert device.waits_for() == "access_denied"


def test_a_client_that_wants_more_than_a_password_gets_more(service: Service) -> None:
    """claims.md: "a client's registered minimum": the code is asked before the question is, and the way leads back to it."""
    device = Device.on(service, mfa="", minimum_acr=TWO_STEP)
    device.start()
    dana = device.sign_in()
    page = device.enter()
    assert page.h1 in ("Enter your code", "Choose how to get your code"), page.h1
    assert "IMS kiosk asks for a code before you go on." in page.text
    if page.h1 != "Enter your code":
        dana.submit(method="email")
    page = dana.submit(code=service.code_for(DANA))
    assert page.h1 == CONFIRM
    assert device.waits_for() == "authorization_pending"
    dana.submit(button="decision", value="allow")
    assert service.claims(body(device.poll())["access_token"])["acr"] == TWO_STEP


def test_a_minimum_that_cannot_be_met_ends_on_a_page(service: Service) -> None:
    """claims.md: "a client's registered minimum that cannot be met" ends; it does not run in circles."""
    device = Device.on(service, mfa="email", minimum_acr=TWO_FACTOR)
    with service.services.database.transaction() as tx:
        tx.delete(tx.get_one(PhoneNumber, device.portal.membership.user_id))
    device.start()
    dana = device.portal.dana
    device.portal.code(method="email")
    page = device.enter()
    while page.h1 == "Enter your code":
        page = dana.submit(code=service.code_for(DANA))
    assert (page.status, page.h1) == (403, "This device can’t be let in")
    assert device.waits_for() == "authorization_pending"


def test_a_form_kept_open_does_not_get_past_the_minimum(service: Service) -> None:
    """The level is looked at again when yes is pressed."""
    device = Device.on(service, mfa="", minimum_acr=TWO_STEP)
    device.start()
    dana = device.sign_in()
    dana.open("/device")
    csrf = dana.here.forms[0].fields["csrf_token"]
    with service.services.database.transaction(read_only=True) as tx:
        row = service.services.device_codes.asked(tx, device.codes["user_code"])
    assert row is not None
    form = {"csrf_token": csrf, "id": row.id, "user_code": device.codes["user_code"], "decision": "allow"}
    assert dana.post("/device/confirm", form).headers["Location"].startswith("/sign-in?request=")
    assert device.waits_for() == "authorization_pending"


def test_a_parked_device_is_no_authorization_request(service: Service) -> None:
    """Its id opens the sign-in pages and nothing else."""
    device = Device.on(service, minimum_acr=TWO_STEP)
    device.start()
    dana = device.sign_in()
    dana.open("/device")
    answer = dana.post("/device", {**dana.here.forms[0].fields, "user_code": device.codes["user_code"]})
    confirm = dana.client.get(answer.headers["Location"], base_url=dana.issuer)
    parked = confirm.headers["Location"].partition("=")[2]
    assert dana.open("/oauth/authorize", request=parked).status == 410
    assert dana.open("/oauth/logout", request=parked).h1 != CONFIRM
    stranger = service.person()
    assert stranger.open("/sign-in", request=parked).status == 410


def test_a_deactivated_client_is_asked_for_no_more(device: Device) -> None:
    """The registry forgets it, and with it what it asked."""
    device.sign_in()
    device.enter()
    path = device.portal.dana.here.path
    with device.service.services.database.transaction() as tx:
        tx.get_one(OAuthClient, "ims-kiosk").deactivated_at = device.service.clock.now()
    device.service.forget_clients()
    assert device.portal.dana.open(path).status == 410
    assert device.enter().status == 422


def test_codes_are_read_as_they_are_shown() -> None:
    """Pure."""
    assert read(" wdjb mjht ") == "WDJBMJHT"
    assert shown("WDJBMJHT") == "WDJB-MJHT"
    assert [read(text) for text in ("", "WDJBMJH", "WDJBMJHTX", "WDJBMJHA", "WDJBMJH1", "х" * 8)] == [None] * 6
