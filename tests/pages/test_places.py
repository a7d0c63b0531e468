"""Places beside browsers (domain D30; ux.md S18, S24, S25), where the operator supplied a file that knows them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.support.geoip import city, write
from tests.support.journey import Person
from tests.support.links import newest_link
from tests.support.profile import EDGE
from tests.support.service import DANA, Service

AUSTIN, LYON, NOWHERE = "5.9.1.7", "5.9.2.7", "5.9.9.9"


def entered(service: Service, address: str, **options: str) -> Person:
    """Dana, signed in with a code and remembered."""
    person = service.person(address=address, **options)
    service.sign_in(person)
    person.submit(code=service.code_for(DANA), remember="1")
    assert person.here.h1 == "You’re signed in"
    return person


def test_d30_lists_and_messages_say_where(service_with: Callable[..., Service], tmp_path: Path) -> None:
    """In the code's mail, the notice of a new device, a password link, both lists and Sign-in activity; trail: the address."""
    file = write(
        tmp_path / "city.mmdb",
        {
            "5.9.1.0/24": city("Austin", ("US", "United States"), area="TX"),
            "5.9.2.0/24": city("Lyon", ("FR", "France")),
        },
    )
    service = service_with(geoip_file=file)
    service.member(service.account(mfa="email"), role="admin")
    dana = entered(service, AUSTIN)
    [code] = service.emails.to(DANA)
    assert "Asked for on Nov 22, 4:31 PM EST from Chrome on macOS near Austin, TX." in code.text
    assert "from Chrome on macOS near Austin, TX." in code.html

    entered(service, LYON, user_agent=EDGE)
    service.deliver()
    notice = service.emails.to(DANA)[-1]
    assert notice.subject == "New sign-in from Edge on Windows"
    assert "from Edge on Windows near Lyon, France, a browser you have not used here before." in notice.text
    assert "from Edge on Windows near Lyon, France." in dana.open(newest_link(service, "not-me")).text

    stranger = service.person(address=NOWHERE)
    stranger.open("/forgot")
    stranger.submit(email=DANA)
    service.deliver()
    assert "Asked for on Nov 22, 2026, 4:31 PM EST from Chrome on macOS." in service.emails.to(DANA)[-1].text

    page = dana.open("/profile/security")
    assert "Places are estimated from the internet address and can be off by a city or two." in page.text
    assert "Edge on WindowsLyon, France. Remembered Nov 22" in page.text
    assert "Chrome on macOS This deviceAustin, TX. Active now." in page.text
    assert "Edge on WindowsLyon, France. Last active today" in page.text
    dana.address = LYON
    service.pass_time(minutes=2)
    dana.open("/profile/security")
    assert "This deviceLyon, France. Active now." in dana.open("/profile/security").text

    rows = dana.open("/admin/activity").response.text
    assert f'Edge on Windows, Lyon, France<span class="sub nums">{LYON}</span>' in rows
    assert f'Chrome on macOS, Austin, TX<span class="sub nums">{AUSTIN}</span>' in rows
    assert f'Chrome on macOS<span class="sub nums">{NOWHERE}</span>' in rows
    assert "Austin" not in str([(event.fields, event.remote_address) for event in service.events()])
    service.services.places.close()

    elsewhere = service_with()
    without = elsewhere.person(address=AUSTIN)
    without.client = dana.client
    without.client.application = elsewhere.app
    for path in ("/profile/security", "/admin/activity"):
        page = without.open(path)
        assert (page.status, "Austin" in page.text, "Places are" in page.text) == (200, False, False)
