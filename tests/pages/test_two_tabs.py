"""Two tabs of one browser under way at once (ux.md rules 3 to 5): each keeps its own portal, the newest code counts."""

from __future__ import annotations

from authsvc.audit import Event
from tests.support.journey import Page, Person
from tests.support.service import DANA, PASSWORD, Service, pkce

OTHER_PORTAL = "https://reports.ims.test"
TOO_OLD = "This page was open too long"


def two_portals(service: Service, mfa: str = "email") -> Person:
    """A browser of Dana's; two clients, each with an origin of its own."""
    service.member(service.account(mfa=mfa))
    service.client()
    service.client("ims-reports", client_name="IMS reports", redirect_uris=[f"{OTHER_PORTAL}/callback"])
    return service.person()


def open_tab(service: Service, person: Person, client: str) -> Page:
    """A tab that a portal has sent here."""
    _, challenge = pkce()
    redirect_uri = f"{OTHER_PORTAL}/callback" if client == "ims-reports" else "https://portal.ims.test/callback"
    return person.open(
        "/oauth/authorize",
        **service.authorization_request(challenge, client_id=client, redirect_uri=redirect_uri, state=client),
    )


def send(person: Person, tab: Page, **typed: str) -> Page:
    """Send the first form of a tab."""
    person.page = tab
    return person.submit(form=0, **typed)


def test_two_tabs_for_two_portals_each_finish_at_their_own(service: Service) -> None:
    """Tab B is opened while tab A waits for its password; one signs in, and both arrive."""
    person = two_portals(service)
    tab_a, tab_b = open_tab(service, person, "ims-portal"), open_tab(service, person, "ims-reports")
    send(person, tab_b, email=DANA, password=PASSWORD)
    person.submit(code=service.code_for(DANA))
    assert (person.callback()["state"], (person.left_for or "").startswith(OTHER_PORTAL)) == ("ims-reports", True)
    # Its form is of before the sign-in: the password is not needed any more.
    send(person, tab_a, email=DANA, password=PASSWORD)
    assert person.callback()["state"] == "ims-portal"
    assert len(service.events(Event.SESSION_STARTED)) == 1


def test_two_tabs_at_the_code_each_finish_at_their_own(service: Service) -> None:
    """One sign-in, shown twice: the code typed in either tab ends both."""
    person = two_portals(service)
    open_tab(service, person, "ims-reports")
    other = person.here.path
    tab_a = open_tab(service, person, "ims-portal")
    send(person, tab_a, email=DANA, password=PASSWORD)
    tab_b = person.open(other.replace("/sign-in", "/sign-in/code"))
    assert tab_b.h1 == "Enter your code"
    send(person, tab_b, code=service.code_for(DANA))
    assert person.callback()["state"] == "ims-reports"
    person.open(tab_a.path)
    assert person.callback()["state"] == "ims-portal"


def test_a_code_sent_in_another_tab_is_named_in_the_first(service: Service) -> None:
    """ "We sent a newer code at 4:35 PM. Use that one." (rule 5): the password was typed again in tab B."""
    person = two_portals(service)
    tab_a = send(person, open_tab(service, person, "ims-portal"), email=DANA, password=PASSWORD)
    old = service.code_for(DANA)
    service.pass_time(minutes=4)
    send(person, open_tab(service, person, "ims-reports"), email=DANA, password=PASSWORD)
    new = service.code_for(DANA)
    page = send(person, tab_a, code=old)
    assert page.h1 == "Enter your code"
    assert "We sent a newer code at 4:35 PM EST. Use that one." in page.text
    person.submit(code=new)
    assert person.callback()["state"] == "ims-portal"


def test_the_newest_code_is_not_refused_for_the_tab_it_is_typed_in(service: Service) -> None:
    """Typed in the older tab it is at worst asked once more, and costs no try."""
    person = two_portals(service)
    tab_a = send(person, open_tab(service, person, "ims-portal"), email=DANA, password=PASSWORD)
    service.deliver()
    send(person, open_tab(service, person, "ims-reports"), email=DANA, password=PASSWORD)
    new = service.code_for(DANA)
    send(person, tab_a, code=new)
    assert service.events(Event.CODE_WRONG) == []
    person.submit(code=new)
    assert person.callback()["state"] == "ims-portal"


def test_a_tab_whose_account_differs_goes_to_its_own_account(service: Service) -> None:
    """Tab A is for Northgate, tab B for Westgate, where a code is asked: neither ends in the other's account."""
    from authsvc.accounts.models import User

    dana = service.member(service.account())
    with service.services.database.transaction(read_only=True) as tx:
        user = tx.get_one(User, dana.user_id)
    service.member(service.account("westgate", mfa="email"), user=user)
    service.client()
    verifier, challenge = pkce()
    person = service.person()
    slugs = []
    tabs = [
        person.open("/oauth/authorize", **service.authorization_request(challenge, account=slug))
        for slug in ("northgate", "westgate")
    ]
    send(person, tabs[0], email=DANA, password=PASSWORD)
    slugs.append(service.claims(service.redeem(person, verifier)["access_token"])["account"]["slug"])
    send(person, tabs[1], email=DANA, password=PASSWORD)
    assert person.here.title == "Enter your code – Westgate Capital Partners"
    person.submit(code=service.code_for(DANA))
    slugs.append(service.claims(service.redeem(person, verifier)["access_token"])["account"]["slug"])
    assert slugs == ["northgate", "westgate"]


def test_signing_out_in_one_tab_is_seen_in_the_other(service: Service) -> None:
    """The next request anywhere shows the sign-in page; a press there harms nothing (S13)."""
    person = two_portals(service, "")
    service.sign_in(person)
    tab_a = person.open("/sign-out")
    tab_b = person.open("/sign-out")
    send(person, tab_a)
    assert "You’re signed out." in person.here.text
    assert send(person, tab_b).h1 in (TOO_OLD, "Sign in")
    assert person.open("/").h1 == "Sign in"
    assert len(service.events(Event.SESSION_ENDED)) == 1
