"""More people sign in at once than the hashing lane takes: some wait a moment, nobody loses anything."""

from __future__ import annotations

from authsvc.throttle import AddressWindows
from tests.support.service import DANA, PASSWORD, Service


def test_a_full_lane_is_said_and_charges_no_try(service: Service) -> None:
    """503 with Retry-After, the address stays typed, and no slot of the limit is taken (spikes.md 7)."""
    service.member(service.account())
    dana = service.person()
    dana.open("/sign-in")
    places = [replica.lane.place() for replica in service.replicas for _ in range(replica.settings.threads - 3)]
    for place in places:
        place.__enter__()
    for _ in range(30):
        dana.submit(email=DANA, password="wrong wrong wrong wrong")
        assert dana.here.status == 503
    assert dana.here.response.headers["Retry-After"] == "5"
    assert "Too many people are signing in at this moment." in dana.here.text
    assert dana.here.forms[0].fields["email"] == DANA
    for place in places:
        place.__exit__(None, None, None)
    dana.submit(email=DANA, password=PASSWORD)
    assert dana.here.h1 == "You’re signed in"


def test_an_address_that_caused_many_messages_causes_no_more(service: Service) -> None:
    """security.md 5: sends per network address; said on the page, and the code already sent stays usable."""
    service.member(service.account(mfa="email"))
    windows: AddressWindows = service.services.windows
    while windows.admit("send_per_address", "198.51.100.7"):
        pass
    dana = service.person()
    service.sign_in(dana)
    assert service.deliver() == 0
    assert "We couldn’t send a code just now." in dana.here.text
    elsewhere = service.person(address="203.0.113.9")
    service.sign_in(elsewhere)
    elsewhere.submit(code=service.code_for(DANA))
    assert elsewhere.here.h1 == "You’re signed in"


def test_a_parked_logout_is_no_sign_in(service: Service) -> None:
    """security.md AZ-13: an id of one kind is worth nothing where another is asked for."""
    service.member(service.account())
    dana = service.person()
    service.sign_in(dana)
    dana.open("/oauth/logout")
    assert dana.here.h1 == "Sign out?"
    request_id = dana.here.path.partition("request=")[2]
    assert len(request_id) == 32
    dana.open("/sign-in", request=request_id)
    assert dana.here.status in (400, 410)
