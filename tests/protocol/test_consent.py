"""What a client of somebody else may have is asked of the person, and remembered for each account (Core 3.1.2.4)."""

from __future__ import annotations

from typing import TypeVar

import pytest

from authsvc.accounts.models import Account, User
from authsvc.db.base import Base
from authsvc.oauth.models import Consent
from tests.protocol.portal import AUTHORIZE, CONSENT, PASSWORD_ONLY, TWO_STEP, Portal, body, sent_back
from tests.support.journey import Page
from tests.support.service import CALLBACK, DANA, ISSUER, PASSWORD, PORTAL, Service

ASKED = "Allow Acme Analytics?"
Row = TypeVar("Row", bound=Base)


@pytest.fixture
def portal(service: Service) -> Portal:
    """A client of somebody else; the account and Dana as ever."""
    return Portal.on(
        service,
        first_party=False,
        client_name="Acme Analytics",
        client_uri="https://acme.example/about",
        policy_uri="https://acme.example/privacy",
        tos_uri="https://acme.example/terms",
        logo_uri="https://acme.example/logo.png",
    )


def allow(portal: Portal, choice: str = "allow") -> Page:
    """Dana answers."""
    return portal.dana.submit(button="choice", value=choice)


def granted(service: Service) -> set[str]:
    """Every scope that anybody has agreed to."""
    with service.services.database.transaction(read_only=True) as tx:
        return {row.scope for row in tx.query(Consent)}


def test_the_page_says_who_asks_what_of_whom(portal: Portal) -> None:
    """In plain words; with the client's own pages, and no picture of theirs: our pages load nothing from elsewhere."""
    page = portal.sign_in()

    assert (page.status, page.h1, page.title) == (200, ASKED, "Allow Acme Analytics – Northgate Capital Partners")
    for words in (
        "You’re signed in as dana@northgate.example to Northgate Capital Partners.",
        "portal.ims.test",
        "See your name and time zone",
        "See your email address",
        "Stay connected for up to 30 days, also while you’re away",
        "Use investors.read on your behalf",
    ):
        assert words in page.text, words
    assert page.links["About this app"] == "https://acme.example/about"
    assert page.links["Its privacy policy"] == "https://acme.example/privacy"
    assert page.links["Its terms of use"] == "https://acme.example/terms"
    assert "logo.png" not in page.response.text


def test_saying_yes_leads_on_and_is_remembered(portal: Portal) -> None:
    """Once for each scope; audited."""
    portal.sign_in()
    allow(portal)
    assert portal.dana.callback()["state"] == "the-state"
    assert portal.redeem(portal.dana.callback()["code"]).status_code == 200

    assert "code" in sent_back(portal.ask())
    assert "code" in sent_back(portal.ask(scope="openid email", prompt="none"))
    [event] = portal.service.events("consent.granted")
    assert event.fields == {"scope": "openid profile email offline_access investors.read"}
    assert event.client_id == "ims-portal"


def test_more_than_was_agreed_to_is_asked(portal: Portal) -> None:
    """And what was agreed to before stays."""
    portal.sign_in(scope="openid")
    allow(portal)
    assert granted(portal.service) == {"openid"}

    page = portal.sign_in(scope="openid email")
    assert page.h1 == ASKED
    allow(portal)

    assert granted(portal.service) == {"openid", "email"}
    assert "code" in sent_back(portal.ask(scope="email openid"))


def test_saying_no_is_told_to_the_client(portal: Portal) -> None:
    """RFC 6749 4.1.2.1: access_denied, by redirect, with state and iss; at once, for the person has acted (FAPI:
    user-rejects-authentication). Nothing is remembered.
    """
    portal.sign_in()
    allow(portal, "deny")

    answer = portal.dana.callback()
    assert (answer["error"], answer["state"], answer["iss"]) == ("access_denied", "the-state", ISSUER)
    assert granted(portal.service) == set()
    assert len(portal.service.events("consent.denied")) == 1
    assert sent_back(portal.ask(prompt="none"))["error"] == "consent_required"


def test_a_no_goes_by_form_where_that_was_asked(portal: Portal) -> None:
    """response_mode=form_post; it needs no second press to be read, but works without script."""
    portal.sign_in(response_mode="form_post")
    page = allow(portal, "deny")

    assert page.forms[0].action == CALLBACK
    assert page.forms[0].fields["error"] == "access_denied"


def test_prompt_none_says_consent_required(portal: Portal) -> None:
    """Core 3.1.2.6."""
    portal.sign_in()

    sent = sent_back(portal.ask(prompt="none"))

    assert (sent["error"], sent["state"], sent["iss"]) == ("consent_required", "the-state", ISSUER)


def test_prompt_consent_asks_again_and_once(portal: Portal) -> None:
    """Core 3.1.2.1: "SHOULD prompt the End-User for consent before returning information to the Client"."""
    portal.sign_in()
    allow(portal)
    for prompt in ("consent", "login consent", "consent select_account"):
        portal.service.pass_time(minutes=1)
        page = portal.dana.open(AUTHORIZE, **portal.request(prompt=prompt))
        if page.h1 == "Choose an account":
            page = portal.dana.submit(button="account")
        page = portal.go_on(page)
        assert page.h1 == ASKED, prompt
        allow(portal)
        assert "code" in portal.dana.callback()


def test_our_own_clients_skip_it(service: Service) -> None:
    """first_party: IMS asks nobody for leave to show them their own portal, not even with prompt=consent."""
    portal = Portal.on(service)
    portal.sign_in(prompt="consent")

    assert "code" in portal.dana.callback()


def test_consent_is_for_one_account(portal: Portal) -> None:
    """A table of consents by person, account and client: in another account it is asked again."""
    service = portal.service
    service.member(service.account("harbor"), user=row(portal, User, portal.membership.user_id))
    portal.sign_in(account="northgate")
    allow(portal)
    assert "code" in portal.dana.callback()

    page = portal.sign_in(account="harbor")

    assert page.h1 == ASKED
    assert "to Harbor Capital Partners" in page.text


def row(portal: Portal, table: type[Row], key: str) -> Row:
    """A row as it is stored."""
    with portal.service.services.database.transaction(read_only=True) as tx:
        return tx.get_one(table, key)


def test_consent_is_for_one_person(portal: Portal) -> None:
    """A colleague is asked for herself, at the same browser too."""
    northgate = row(portal, Account, portal.membership.account_id)
    portal.service.member(northgate, "theo@northgate.example")
    portal.sign_in()
    allow(portal)
    portal.dana.open(AUTHORIZE, **portal.request(prompt="login"))
    page = portal.dana.submit(email="theo@northgate.example", password=PASSWORD)

    assert page.h1 == ASKED
    assert "theo@northgate.example" in page.text


def test_consent_is_asked_after_the_sign_in_and_its_code(service: Service) -> None:
    """The last question; the request stays the same one."""
    portal = Portal.on(service, first_party=False, client_name="Acme Analytics")
    page = portal.sign_in(acr_values=TWO_STEP, method="email", prompt="login consent")
    assert page.h1 == ASKED
    allow(portal)

    tokens = body(portal.redeem(portal.dana.callback()["code"]))
    assert portal.claims(tokens["id_token"])["acr"] == TWO_STEP


def test_claims_asked_one_by_one_are_agreed_to_as_their_scope(portal: Portal) -> None:
    """`claims` must not fetch what nobody agreed to."""
    portal.sign_in(scope="openid")
    allow(portal)

    page = portal.sign_in(scope="openid", claims='{"userinfo":{"email":null}}')

    assert page.h1 == ASKED
    assert "See your email address" in page.text


def test_lg_11_the_question_belongs_to_the_browser_that_was_sent(portal: Portal) -> None:
    """LG-11, ory/hydra PR 770: an attacker's consent link, opened by somebody signed in, is worth nothing; nor his answer to
    hers.
    """
    attacker = portal.service.person(address="203.0.113.9")
    hers = portal.sign_in().path
    assert hers.startswith(CONSENT)

    for person in (attacker, portal.service.person()):
        page = person.open(hers)
        assert (page.status, page.h1) == (410, "This link has expired")
    theirs = attacker.open(AUTHORIZE, **portal.request(state="attackers")).path.partition("request=")[2]
    page = portal.dana.open(CONSENT, request=theirs)
    assert page.status == 410
    assert granted(portal.service) == set()


def test_az_19_a_forged_answer_is_refused(portal: Portal) -> None:
    """AZ-19, LG-12: without our token, or from another site, nothing is granted; and the page is framed nowhere."""
    page = portal.sign_in()
    assert "frame-ancestors 'none'" in page.response.headers["Content-Security-Policy"]
    assert f"form-action 'self' {PORTAL};" in page.response.headers["Content-Security-Policy"]
    assert "data-hold" in page.response.text, "a double click that began elsewhere does not count"
    fields = {**page.forms[0].fields, "choice": "allow"}
    for data, headers in (
        ({**fields, "csrf_token": "x"}, {}),
        ({name: value for name, value in fields.items() if name != "csrf_token"}, {}),
        (fields, {"Origin": "https://evil.example"}),
        (fields, {"Origin": "null"}),
        (fields, {"Sec-Fetch-Site": "cross-site"}),
        (fields, {"Sec-Fetch-Site": "same-site"}),
    ):
        assert portal.dana.post(page.path, data, **headers).status_code == 400
    assert granted(portal.service) == set()
    assert portal.dana.post(page.path, fields).status_code == 303


def test_an_answer_is_given_by_post_alone(portal: Portal) -> None:
    """A link or a picture grants nothing."""
    page = portal.sign_in()
    portal.dana.open(page.path + "&choice=allow")

    assert granted(portal.service) == set()


@pytest.mark.parametrize("choice", ["", "yes", "\0", "allow\0", "ALLOW", "x" * 10_000])
def test_an_answer_that_is_none_shows_the_page_again(portal: Portal, choice: str) -> None:
    """Neither yes nor no."""
    page = portal.sign_in()
    answer = portal.dana.post(page.path, {**page.forms[0].fields, "choice": choice})

    assert answer.status_code == 200
    assert granted(portal.service) == set()


def test_an_answer_counts_for_the_account_on_the_page(portal: Portal) -> None:
    """Another tab may have entered another account since: then the page is shown anew."""
    page = portal.sign_in()
    answer = portal.dana.post(page.path, {**page.forms[0].fields, "choice": "allow", "account": "0" * 32})

    assert answer.status_code == 200
    assert granted(portal.service) == set()


def test_without_a_session_the_question_leads_back_to_sign_in(portal: Portal) -> None:
    """Signed out in another tab."""
    page = portal.sign_in()
    form = dict(page.forms[0].fields)
    portal.dana.open("/sign-out")
    portal.dana.submit()

    assert portal.dana.open(page.path).h1 == "Sign in"
    portal.dana.post(page.path, {**form, "choice": "allow"})
    assert granted(portal.service) == set()


def test_simultaneous_answers_lose_nothing(portal: Portal) -> None:
    """Two tabs ask for different scopes and both are allowed at the same moment, several times."""
    first = portal.sign_in(scope="openid email")
    second = portal.dana.open(AUTHORIZE, **portal.request(scope="openid profile"))
    cookies = {c.key: c.value for c in portal.dana.client._cookies.values()}

    def answer(page: Page) -> int:
        tab = portal.service.person()
        for name, value in cookies.items():
            tab.client.set_cookie(name, value or "", domain="login.ims.test", secure=True)
        return tab.post(page.path, {**page.forms[0].fields, "choice": "allow"}).status_code

    statuses = portal.service.at_once(*[lambda p=page: answer(p) for page in (first, second) * 3])

    assert set(statuses) == {303}
    assert granted(portal.service) == {"openid", "email", "profile"}


def test_a_double_press_is_one_answer(portal: Portal) -> None:
    """The second press finds nothing to ask and leads on as the first did."""
    page = portal.sign_in()
    fields = {**page.forms[0].fields, "choice": "allow"}
    answers = [portal.dana.post(page.path, fields) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [303, 303]
    assert answers[0].headers["Location"] == answers[1].headers["Location"]
    assert len(portal.service.events("consent.granted")) == 1


def test_az_06_an_error_waits_for_the_person_before_it_leads_to_somebody_elses_site(portal: Portal) -> None:
    """AZ-06, RFC 9700 4.11.2, OAuch AutomaticRedirect*: a bad request of a client that is not ours shows a page with a link;
    it does not bounce. In silence (prompt=none) there is nobody to show it to, and an unknown address gets nothing at all.
    """
    for changed in ({"scope": "admin"}, {"response_type": "bogus"}, {"response_type": "token"}, {"max_age": "x"}):
        answer = portal.ask(**changed)
        assert (answer.status_code, "Location" in answer.headers) == (200, False), changed
        page = portal.dana.open(AUTHORIZE, **portal.request(**changed))
        assert page.h1 == "This request didn’t work"
        link = page.links["Go back to portal.ims.test"]
        assert link.startswith(f"{CALLBACK}?error=")
        assert "state=the-state" in link
        form = portal.dana.open(AUTHORIZE, **portal.request(response_mode="form_post", **changed))
        assert form.forms[0].fields["error"]
        assert "data-auto" not in form.response.text
    assert sent_back(portal.ask(prompt="none"))["error"] == "login_required"
    evil = portal.ask(response_type="bogus", redirect_uri="https://evil.example/")
    assert (evil.status_code, "evil.example" in evil.text) == (400, False)


def test_a_hostile_client_name_is_only_text(service: Service) -> None:
    """AZ-17."""
    portal = Portal.on(service, first_party=False, client_name="<script>alert(1)</script>{{7*7}}")
    page = portal.sign_in()

    assert "<script>alert" not in page.response.text
    assert page.h1 == "Allow <script>alert(1)</script>{{7*7}}?"


def test_the_minimum_of_the_client_comes_before_its_consent(service: Service) -> None:
    """Who asks what is asked of somebody known well enough."""
    portal = Portal.on(service, first_party=False, client_name="Acme Analytics", minimum_acr=TWO_STEP)
    page = portal.sign_in(acr_values=PASSWORD_ONLY, method="email")

    assert page.h1 == ASKED
    assert page.text.count(DANA) == 1
