"""The device authorization grant as the device sees it (RFC 8628 3.1, 3.2, 3.4, 3.5)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from authsvc.clock import FixedClock, epoch_s
from authsvc.oauth.device.user_code import ALPHABET, new_user_code, read
from authsvc.oauth.models import DeviceAuthorization, TokenFamily
from tests.protocol.devices import ENDPOINT, GRANT, KIOSK, SCOPE, Device
from tests.protocol.portal import TWO_STEP, body
from tests.support.service import API, CLIENT_SECRET, ISSUER, Service, make_ring


@pytest.fixture
def device(service: Service) -> Device:
    """A public kiosk."""
    return Device.on(service)


def test_the_device_is_told_what_to_show(device: Device) -> None:
    """3.2: device_code, user_code, verification_uri, expires_in, and the link that holds the code; nobody keeps the answer."""
    answer = device.post(ENDPOINT, scope=SCOPE)
    found = body(answer)
    assert answer.headers["Cache-Control"] == "no-store"
    assert found.keys() == {
        *("device_code", "user_code", "verification_uri", "verification_uri_complete", "expires_in", "interval")
    }
    assert (found["expires_in"], found["interval"]) == (600, 5)
    assert found["verification_uri"] == f"{ISSUER}/device"
    assert found["verification_uri_complete"] == f"{ISSUER}/device?user_code={found['user_code']}"


def test_codes_have_the_entropy_they_need(device: Device) -> None:
    """OAuch DeviceCodeEntropy, RFC 8628 5.2: 256 bits for the device; 6.1: eight letters without vowels for the person. What is
    stored is neither.
    """
    all_codes = [device.start() for _ in range(5)]
    kept = device.service.everything_stored()
    for codes in all_codes:
        assert len(codes["device_code"]) == 43
        assert codes["device_code"] not in kept
        assert codes["user_code"] not in kept
        assert (read(codes["user_code"]) or "?") not in kept
    assert len({codes["device_code"] for codes in all_codes}) == 5
    letters = "".join(new_user_code().replace("-", "") for _ in range(500))
    assert set(letters) == set(ALPHABET)
    assert not set(ALPHABET) & set("AEIOUY0123456789")
    assert len(ALPHABET) ** 8 > 2**34


@pytest.mark.parametrize("public", [True, False], ids=["public", "confidential"])
def test_from_the_code_to_the_tokens(service: Service, public: bool) -> None:
    """3.4, 3.5: pending until the person has decided; then tokens like any other's, of the session that said yes."""
    device = Device.on(service, public=public)
    device.start()
    assert device.waits_for() == "authorization_pending"
    device.sign_in()
    service.pass_time(seconds=5)
    assert device.waits_for() == "authorization_pending"
    device.let_in()
    assert device.portal.dana.here.h1 == "Your device is signed in"
    service.pass_time(seconds=5)

    tokens = body(device.poll())

    assert tokens.keys() == {"token_type", "access_token", "expires_in", "scope", "refresh_token", "id_token"}
    claims, access = service.claims(tokens["id_token"]), service.claims(tokens["access_token"])
    assert (claims["sub"], claims["aud"]) == (device.portal.membership.user_id, [KIOSK])
    assert (access["aud"], access["scope"], access["client_id"]) == (API, SCOPE, KIOSK)
    assert claims["auth_time"] == access["auth_time"] == epoch_s(service.clock.now()) - 10
    assert claims["sid"] == access["sid"]
    assert "nonce" not in claims
    refreshed = device.refresh(tokens["refresh_token"])
    assert refreshed.status_code == 200
    issued = service.events("token.issued")[-1]
    assert (issued.fields["grant"], issued.user_id) == ("device_code", device.portal.membership.user_id)


def test_its_tokens_end_with_the_session_that_approved(device: Device) -> None:
    """A family like any other: signing out at the browser signs the device out (TK-17)."""
    tokens = device.tokens()
    device.portal.dana.open("/sign-out")
    device.portal.dana.submit()
    assert body(device.refresh(tokens["refresh_token"]))["error"] == "invalid_grant"


def test_a_session_that_ended_before_the_device_asked_lets_nobody_in(device: Device) -> None:
    """Whatever was approved is looked at again when it is redeemed (TK-12)."""
    device.start()
    device.sign_in()
    device.let_in()
    device.portal.dana.open("/sign-out")
    device.portal.dana.submit()
    assert device.waits_for() == "invalid_grant"


def test_asking_too_fast_makes_it_wait_longer_each_time(device: Device) -> None:
    """3.5, slow_down: "the interval MUST be increased by 5 seconds for this and all subsequent requests". A second early is
    the network's.
    """
    device.start()
    assert device.waits_for() == "authorization_pending", "the first question is never early"
    device.service.pass_time(seconds=4)
    assert device.waits_for() == "authorization_pending"
    device.service.pass_time(seconds=3)
    assert device.waits_for() == "slow_down"
    device.service.pass_time(seconds=8)
    assert device.waits_for() == "slow_down"
    device.service.pass_time(seconds=14)
    assert device.waits_for() == "authorization_pending"
    device.service.pass_time(seconds=15)
    assert device.waits_for() == "authorization_pending"


def test_a_refused_device_hears_so(device: Device) -> None:
    """3.5, access_denied; and it stays so."""
    device.start()
    device.sign_in()
    device.enter()
    page = device.portal.dana.submit(button="decision", value="deny")
    assert page.h1 == "You said no"
    assert [device.waits_for(), device.waits_for()] == ["access_denied", "access_denied"]
    assert len(device.service.events("device_grant.denied")) == 1


def test_codes_run_out(device: Device) -> None:
    """3.5, expired_token: after ten minutes (policies/tokens.yaml), approved or not; a day later nobody knows them."""
    device.start()
    device.service.pass_time(minutes=9, seconds=59)
    assert device.waits_for() == "authorization_pending"
    device.sign_in()
    device.let_in()
    device.service.pass_time(seconds=1)
    assert device.waits_for() == "expired_token"
    device.service.pass_time(days=1, seconds=1)
    with device.service.services.database.transaction() as tx:
        device.service.services.device_codes.sweep(tx, now=device.service.clock.now())
    assert device.waits_for() == "invalid_grant"


def test_a_device_code_works_once_and_its_second_use_ends_what_it_gave(device: Device) -> None:
    """libraries.md 1.5, 7: Authlib gave tokens twice. As with codes (RFC 6749 10.5), a second use is a copy's."""
    tokens = device.tokens()
    assert device.waits_for() == "invalid_grant"
    assert body(device.refresh(tokens["refresh_token"]))["error"] == "invalid_grant"
    assert len(device.service.events("device_grant.code_reused")) == 1


def test_tk16_another_client_cannot_use_the_code(device: Device) -> None:
    """The code is bound to its client; strangers neither get tokens nor spoil anything."""
    device.service.client(
        "other-kiosk", public=True, redirect_uris=[], scope=SCOPE, grant_types=["refresh_token", GRANT]
    )
    thief = Device(device.portal, "other-kiosk")
    thief.codes = device.start()
    device.sign_in()
    device.let_in()
    assert thief.waits_for() == "invalid_grant"
    tokens = device.poll()
    assert tokens.status_code == 200
    assert thief.waits_for() == "invalid_grant"
    assert device.refresh(body(tokens)["refresh_token"]).status_code == 200, "the stranger ended nothing"


def test_az13_no_other_secret_is_a_device_code(device: Device) -> None:
    """Each secret is of its kind: user code, authorization code, refresh token, row id."""
    tokens = device.tokens()
    with device.service.services.database.transaction(read_only=True) as tx:
        row_id = tx.scalars(select(DeviceAuthorization)).one().id
    for other in (
        device.codes["user_code"],
        tokens["refresh_token"],
        device.portal.code(),
        row_id,
        "x",
        "\0",
        "é" * 99,
    ):
        assert body(device.poll(device_code=other))["error"] == "invalid_grant"
    assert body(device.poll(device_code=""))["error"] == "invalid_request"


def test_a_client_needs_the_grant_and_a_scope(device: Device) -> None:
    """Authlib's endpoint checks neither (libraries.md 1.5, 7)."""
    portal = Device(device.portal, "ims-portal", secret=CLIENT_SECRET)
    assert body(portal.post(ENDPOINT, scope="openid"))["error"] == "unauthorized_client"
    portal.codes = device.start()
    assert body(portal.poll())["error"] == "unauthorized_client"
    for scope in ("", "admin", "investors.write"):
        assert body(device.post(ENDPOINT, scope=scope))["error"] == "invalid_scope"
    assert body(device.post(ENDPOINT, scope=SCOPE, resource="https://evil.test"))["error"] == "invalid_target"
    assert body(device.post(ENDPOINT, scope="openid " * 1500))["error"] == "invalid_request"


def test_a_scope_the_client_may_not_have_is_left_out(device: Device) -> None:
    """AZ-18: dropped, and the answer says what was granted."""
    device.start(scope="openid investors.read investors.write admin")
    device.sign_in()
    device.let_in()
    assert body(device.poll())["scope"] == "openid investors.read"


def test_confidential_devices_must_authenticate(service: Service) -> None:
    """3.1: "the client authentication requirements of Section 3.2.1 of RFC 6749 apply"; Authlib below 1.9.9 let the id do."""
    device = Device.on(service, public=False)
    codes = device.start()
    stranger = Device(device.portal)
    stranger.codes = codes
    assert body(stranger.post(ENDPOINT, scope=SCOPE))["error"] == "invalid_client"
    assert body(stranger.poll())["error"] == "invalid_client"
    wrong = Device(device.portal, secret="wrong")
    assert wrong.post(ENDPOINT, scope=SCOPE).status_code == 401


def test_the_endpoint_is_called_as_every_other(device: Device) -> None:
    """OAuch DeviceAuthEndpoint: SameParameterTwiceDisallowed, UnrecognizedParameterAllowed; POST alone, nothing in the query."""
    machine = device.service.machine()
    assert machine.get(ENDPOINT, base_url=ISSUER).status_code == 405
    twice = machine.post(ENDPOINT, base_url=ISSUER, data={"client_id": KIOSK, "scope": ["openid", "email"]})
    assert body(twice)["error"] == "invalid_request"
    in_query = machine.post(ENDPOINT, base_url=ISSUER, query_string={"client_id": KIOSK, "scope": "openid"})
    assert body(in_query)["error"] == "invalid_request"
    assert device.post(ENDPOINT, scope=SCOPE, foo="bär\0").status_code == 200


def test_one_address_cannot_fill_the_table(device: Device) -> None:
    """30 a minute and address: a row for whoever knows the id of a public client must not be free."""
    answers = [device.post(ENDPOINT, scope=SCOPE).status_code for _ in range(31)]
    assert answers == [200] * 30 + [429]
    assert device.post(ENDPOINT, scope=SCOPE, address="203.0.113.10").status_code == 200


@pytest.fixture
def parallel(database_url: str, clock: FixedClock, ring_folder: Path) -> Iterator[Device]:
    """A service with a connection for each thread."""
    service = Service.on(database_url, clock=clock, ring=make_ring(ring_folder, clock), threads=16)
    yield Device.on(service)
    service.dispose()


def test_of_twelve_redemptions_at_once_at_most_one_succeeds(parallel: Device) -> None:
    """One UPDATE spends it; the others are reuse, so in the end nothing of it lives (AZ-11)."""
    parallel.start()
    parallel.sign_in()
    parallel.let_in()

    answers = parallel.service.at_once(*[parallel.poll] * 12)

    won = [body(answer) for answer in answers if answer.status_code == 200]
    assert len(won) <= 1
    assert {body(answer)["error"] for answer in answers if answer.status_code != 200} == {"invalid_grant"}
    for tokens in won:
        assert body(parallel.refresh(tokens["refresh_token"]))["error"] == "invalid_grant"
    assert len(parallel.service.events("token.family_revoked")) == 1


def test_of_six_yes_and_six_no_at_once_one_counts(parallel: Device) -> None:
    """Decided once, and only one family is begun: by the row, not by who looked first."""
    parallel.start()
    parallel.sign_in()
    parallel.enter()
    dana = parallel.portal.dana
    [form] = [form for form in dana.here.forms if "id" in form.fields]

    def press(decision: str) -> str:
        return str(dana.post("/device/confirm", {**form.fields, "decision": decision}).headers["Location"])

    ends = parallel.service.at_once(*[lambda: press("allow"), lambda: press("deny")] * 6)

    with parallel.service.services.database.transaction(read_only=True) as tx:
        families = tx.scalars(select(TokenFamily)).unique().all()
    decided = [end for end in ends if not end.endswith("/over")]
    assert len(decided) == 1
    assert len(families) == (decided == ["/device/done"])
    assert parallel.waits_for() == (None if families else "access_denied")


def test_asking_while_it_is_approved_loses_nothing(parallel: Device) -> None:
    """A question in the same instant hears either that it waits or the tokens."""
    parallel.start()
    parallel.sign_in()
    parallel.enter()
    dana = parallel.portal.dana
    [form] = [form for form in dana.here.forms if "id" in form.fields]

    _, answer = parallel.service.at_once(
        lambda: dana.post("/device/confirm", {**form.fields, "decision": "allow"}), parallel.poll
    )

    if answer.status_code != 200:
        assert body(answer)["error"] == "authorization_pending"
        assert parallel.poll().status_code == 200


def test_acr_and_amr_are_those_of_the_session(service: Service) -> None:
    """claims.md: a token never says more than what happened."""
    device = Device.on(service, mfa="email")
    device.start()
    device.portal.code(method="email")
    device.let_in()
    claims = service.claims(body(device.poll())["access_token"])
    assert (claims["acr"], claims["amr"]) == (TWO_STEP, ["pwd", "otp", "mca"])
