"""One person in several accounts (ux.md S14; domain D14, D33): which is entered, and whose rules count."""

from __future__ import annotations

from authsvc.accounts.models import Account, Membership, User
from authsvc.audit import Event
from authsvc.sessions import levels
from tests.support.journey import Person
from tests.support.service import DANA, PASSWORD, Service, pkce

CHOOSE, ENTER, SIGNED_IN = "Choose an account", "Enter your code", "You’re signed in"


def in_two(service: Service, **second: object) -> tuple[Membership, Membership]:
    """Dana in Northgate, which asks for nothing, and in Westgate, which asks for a code."""
    dana = service.member(service.account())
    westgate = service.account("westgate", mfa="email", portal_url="https://portal.westgate.example")
    return dana, service.member(westgate, user=user_of(service, dana), **second)  # type: ignore[arg-type]


def user_of(service: Service, member: Membership) -> User:
    """The person of a membership."""
    with service.services.database.transaction(read_only=True) as tx:
        return tx.get_one(User, member.user_id)


def account_of(service: Service, member: Membership) -> Account:
    """The account of a membership."""
    with service.services.database.transaction(read_only=True) as tx:
        return tx.get_one(Account, member.account_id)


def at_the_accounts(service: Service, **params: str) -> Person:
    """Dana, after the password."""
    person = service.person()
    service.sign_in(person, **params)
    assert (person.here.h1, person.here.title) == (CHOOSE, "Choose an account – IMS")
    return person


def test_d14_the_person_chooses_and_the_accounts_rules_count(service: Service) -> None:
    """Neutral look, each account by name; one lets in at once, the other asks for its code."""
    northgate, westgate = in_two(service)
    person = at_the_accounts(service)
    assert f"You’re signed in as {DANA}." in person.here.text
    assert "Northgate Capital Partners" in person.here.text
    assert "Westgate Capital Partners" in person.here.text
    assert service.deliver() == 0
    person.submit(button="account", value=northgate.id)
    assert (person.here.h1, person.here.title) == (SIGNED_IN, "You’re signed in – Northgate Capital Partners")
    other = at_the_accounts(service)
    other.submit(button="account", value=westgate.id)
    assert (other.here.h1, other.here.title) == (ENTER, "Enter your code – Westgate Capital Partners")
    other.submit(code=service.code_for(DANA))
    assert "Westgate Capital Partners" in other.here.text
    assert [event.account_id for event in service.events(Event.SESSION_STARTED)] == [
        northgate.account_id,
        westgate.account_id,
    ]


def test_d14_nothing_is_chosen_for_the_person(service: Service) -> None:
    """No step of one account can be taken before: no code, no skip, no session."""
    _, westgate = in_two(service)
    person = at_the_accounts(service)
    for path in ("/sign-in/code", "/sign-in/verify", "/sign-in/method", "/sign-in/phone"):
        assert person.open(path).h1 == CHOOSE
    token = person.here.forms[0].fields["csrf_token"]
    for data in ({"code": "123456"}, {"resend": "1"}, {"skip": "1"}):
        assert person.post("/sign-in/code", {**data, "csrf_token": token}).headers["Location"] == "/accounts"
    person.open("/accounts")
    assert person.submit(form=0).status == 422
    assert "Choose one of your accounts" in person.here.text
    for account in ("", "nonsense", "\0", westgate.account_id, "0" * 32):
        assert person.post("/accounts", {"account": account, "csrf_token": token}).status_code == 422
    assert (service.deliver(), service.events(Event.SESSION_STARTED)) == (0, [])


def test_somebody_elses_membership_cannot_be_entered(service: Service) -> None:
    """Named by its id, it is no choice of this person."""
    in_two(service)
    priya = service.member(service.account("eastgate"), "priya@eastgate.example")
    person = at_the_accounts(service)
    token = person.here.forms[0].fields["csrf_token"]
    answer = person.post("/accounts", {"account": priya.id, "csrf_token": token})
    assert (answer.status_code, "Choose one of your accounts" in answer.text) == (422, True)


def test_a_choice_once_made_stays_for_this_sign_in(service: Service) -> None:
    """Going on in the laxer account after the stricter asked for its code is a new sign-in, not a detour."""
    northgate, westgate = in_two(service)
    person = at_the_accounts(service)
    token = person.here.forms[0].fields["csrf_token"]
    person.submit(button="account", value=westgate.id)
    answer = person.post("/accounts", {"account": northgate.id, "csrf_token": token})
    assert answer.headers["Location"] == "/sign-in/code"
    assert service.events(Event.SESSION_STARTED) == []


def test_an_account_one_may_not_enter_is_not_listed(service: Service) -> None:
    """Deactivated there, or not yet accepted: with one left, there is nothing to choose."""
    in_two(service, active=False)
    person = service.person()
    service.sign_in(person)
    assert (person.here.h1, person.here.title) == (SIGNED_IN, "You’re signed in – Northgate Capital Partners")


def test_a_link_that_names_the_account_spares_the_choice(service: Service) -> None:
    """`?account=`, or the account of the client's request."""
    in_two(service)
    person = service.person()
    service.sign_in(person, account="westgate")
    assert person.here.title == "Enter your code – Westgate Capital Partners"
    service.client()
    _, challenge = pkce()
    other = service.person()
    other.open("/oauth/authorize", **service.authorization_request(challenge, account="northgate"))
    other.submit(email=DANA, password=PASSWORD)
    assert other.callback()["state"] == "the-state"


def test_d33_team_member_and_investor_of_one_account_chooses_the_portal(service: Service) -> None:
    """Both memberships are shown, told apart, and each has the rules of its audience."""
    account = service.account(mfa="email", investors="email")
    team = service.member(account)
    investor = service.member(account, user=user_of(service, team), audience="investors")
    person = at_the_accounts(service)
    assert person.here.text.count("Northgate Capital Partners") == 2
    assert "Team Member" in person.here.text
    assert "Investor" in person.here.text
    person.submit(button="account", value=investor.id)
    assert person.submit(code=service.code_for(DANA)).h1 == SIGNED_IN


def test_d33_a_link_that_names_the_account_offers_its_portals_alone(service: Service) -> None:
    """Another account of the person is not what was asked for, and cannot be entered here."""
    team, westgate = in_two(service)
    service.member(account_of(service, team), user=user_of(service, team), audience="investors")
    person = service.person()
    service.sign_in(person, account="northgate")
    assert person.here.h1 == CHOOSE
    assert "Westgate" not in person.here.text
    token = person.here.forms[0].fields["csrf_token"]
    answer = person.post("/accounts?account=northgate", {"account": westgate.id, "csrf_token": token})
    assert answer.status_code == 422
    person.submit(button="account", value=team.id)
    assert person.here.title == "You’re signed in – Northgate Capital Partners"


def test_d14_from_a_lax_account_into_a_strict_one_steps_up(service: Service) -> None:
    """Signed in at Northgate, a client asks for Westgate: no second password, but Westgate's code, and its own session."""
    in_two(service)
    service.client()
    verifier, challenge = pkce()
    person = service.person()
    service.sign_in(person, account="northgate")
    person.open("/oauth/authorize", **service.authorization_request(challenge, account="westgate"))
    assert person.here.title == "Enter your code – Westgate Capital Partners"
    person.submit(code=service.code_for(DANA))
    claims = service.claims(service.redeem(person, verifier)["access_token"])
    assert (claims["account"]["slug"], claims["acr"]) == ("westgate", levels.TWO_STEP)
    assert [event.fields["reason"] for event in service.events(Event.SESSION_ENDED)] == ["replaced"]


def test_d33_from_another_account_into_one_with_two_portals_the_person_chooses(service: Service) -> None:
    """Stepping over does not guess which of the two is meant."""
    _, westgate = in_two(service)
    investor = service.member(account_of(service, westgate), user=user_of(service, westgate), audience="investors")
    service.client()
    verifier, challenge = pkce()
    person = service.person()
    service.sign_in(person, account="northgate")
    person.open("/oauth/authorize", **service.authorization_request(challenge, account="westgate"))
    assert person.here.h1 == CHOOSE
    person.submit(button="account", value=investor.id)
    claims = service.claims(service.redeem(person, verifier)["access_token"])
    assert (claims["account"]["slug"], claims["account"]["audience"]) == ("westgate", "investors")


def test_an_account_one_does_not_belong_to_cannot_be_stepped_into(service: Service) -> None:
    """Said to the person who is signed in; nothing is issued."""
    in_two(service)
    service.account("eastgate")
    service.client()
    _, challenge = pkce()
    person = service.person()
    service.sign_in(person, account="northgate")
    person.open("/oauth/authorize", **service.authorization_request(challenge, account="eastgate"))
    assert (person.here.status, person.left_for) == (403, None)
    assert "This sign-in doesn’t belong to that account." in person.here.text
