"""Forms from elsewhere, links to elsewhere, steps out of order, cookies of others (security.md LG-10 to LG-15, MF-01, MF-11)."""

from __future__ import annotations

from urllib.parse import urlsplit

from sqlalchemy import func, select

from authsvc.sessions.models import BrowserSession
from tests.support.databases import ON_SQLITE
from tests.support.journey import Person
from tests.support.service import DANA, ISSUER, PASSWORD, Service, pkce

pytestmark = ON_SQLITE

TOO_OLD = "This page was open too long"
FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "https://login.ims.test.evil.example"},
    {"Origin": "http://login.ims.test"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


def sessions(service: Service) -> int:
    """How many sessions were ever started."""
    with service.services.database.transaction(read_only=True) as tx:
        return tx.scalars(select(func.count()).select_from(BrowserSession)).one()


def at_the_code(service: Service, mfa: str = "email") -> Person:
    """Dana, with the right password, where her code is asked."""
    service.member(service.account(mfa=mfa))
    person = service.person()
    service.sign_in(person)
    assert person.here.h1 == "Enter your code"
    return person


def test_lg_12_a_password_form_from_elsewhere_is_refused(service: Service) -> None:
    """Without the token, with another browser's, or from another site: nobody is signed in as the attacker."""
    service.member(service.account())
    person, other = service.person(), service.person()
    token = person.open("/sign-in").forms[0].fields["csrf_token"]
    others = other.open("/sign-in").forms[0].fields["csrf_token"]
    right = {"email": DANA, "password": PASSWORD}
    forged = [(right, {}), ({**right, "csrf_token": others}, {}), ({**right, "csrf_token": ""}, {})]
    forged += [({**right, "csrf_token": token}, headers) for headers in FOREIGN]
    for data, headers in forged:
        answer = person.post("/sign-in", data, **headers)
        assert answer.status_code == 400
        assert TOO_OLD in answer.text
        assert "Nothing was changed. Start again." in answer.text
        assert PASSWORD not in answer.text
    assert sessions(service) == 0
    for headers in ({"Origin": ISSUER, "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {}):
        fresh = service.person()
        data = {**right, "csrf_token": fresh.open("/sign-in").forms[0].fields["csrf_token"]}
        assert fresh.post("/sign-in", data, **headers).status_code == 303


def test_lg_12_a_code_form_from_elsewhere_is_refused_and_costs_no_try(service: Service) -> None:
    """Nor does a forged press send, skip, choose or enrol anything."""
    person = at_the_code(service, "email")
    code = service.code_for(DANA)
    token = person.here.forms[0].fields["csrf_token"]
    for path in ("/sign-in/code", "/sign-in/verify", "/sign-in/method", "/sign-in/phone", "/accounts"):
        for headers in ({}, FOREIGN[0], FOREIGN[4]):
            data = {"code": code, "resend": "1", "method": "email", "phone": "5125550143", "skip": "1"}
            if headers:
                data["csrf_token"] = token
            assert person.post(path, data, **headers).status_code == 400
    assert sessions(service) == 0
    assert len(service.emails.messages) == 1
    assert person.submit(code=code).h1 == "You’re signed in"


def test_lg_12_nobody_is_signed_out_by_a_form_from_elsewhere(service: Service) -> None:
    """The way on is the question, not the act."""
    service.member(service.account())
    person = service.person()
    service.sign_in(person)
    token = person.open("/sign-out").forms[0].fields["csrf_token"]
    for data, headers in (({}, {}), ({"csrf_token": token}, FOREIGN[0]), ({"csrf_token": token}, FOREIGN[4])):
        answer = person.post("/sign-out", data, **headers)
        assert (answer.status_code, TOO_OLD in answer.text) == (400, True)
    assert person.open("/").h1 == "You’re signed in"


def test_the_page_of_a_stale_form_starts_the_same_task_again(service: Service) -> None:
    """Never a bare 400: a button that keeps where the person was going (rule 6)."""
    service.account()
    person = service.person()
    person.open("/sign-in", account="northgate", **{"continue": "/accounts"})
    person.client.delete_cookie("__Host-attempt", domain="login.ims.test")
    page = person.submit(email=DANA, password=PASSWORD)
    assert (page.status, page.h1) == (400, TOO_OLD)
    assert page.links["Start again"] == "/sign-in?continue=%2Faccounts&account=northgate"
    assert page.response.headers["X-Request-Id"] in page.text


def test_a_stale_sign_out_asks_again_for_the_same_client(service: Service) -> None:
    """The request of a client that waits for the sign-out is kept (rule 6)."""
    service.member(service.account())
    service.client()
    person = service.person()
    service.sign_in(person)
    to = {"client_id": "ims-portal", "post_logout_redirect_uri": "https://portal.ims.test/"}
    path = person.open("/oauth/logout", **to).path
    assert path.startswith("/sign-out?request=")
    answer = person.post(path, {"csrf_token": "of another time"})
    assert (answer.status_code, f'href="{path}"' in answer.text) == (400, True)


def test_the_page_of_a_forged_form_leads_nowhere_else(service: Service) -> None:
    """A form from elsewhere to an address that reads like another host: the way on is ours."""
    for path in ("//evil.example/", "/%5Cevil.example/", "/nowhere", "/sign-in%5Cx", "//evil.example/sign-in"):
        answer = service.machine().post(path, base_url=ISSUER, data={"x": "1"})
        assert answer.status_code in (400, 404)
        assert '="/sign-in"' in answer.text
        assert "evil" not in answer.text


LOCAL = ["/oauth/authorize?request=1", "/accounts", "/a/b?c=d%2Fe#f", "/%09/evil.example", "/."]
ELSEWHERE = [
    *("//evil.example", "///evil.example", "/\\evil.example", "\\/evil.example", "\\\\evil.example"),
    *("https://evil.example", "https:evil.example", "https:/evil.example", "HTTPS://EVIL.example", "evil.example"),
    *("/\t/evil.example", "\t//evil.example", "/\n/evil.example", " //evil.example", "/ /evil.example", "/\0/evil"),
    *("https://login.ims.test@evil.example/", "https://login.ims.test.evil.example/", "javascript:alert(1)", "data:,x"),
    *("/\r\nSet-Cookie: x=y", "/é", "", "/" + "a" * 2000, "\u3000//evil.example", "//login.ims.test/"),
]


def test_lg_14_a_sign_in_ends_on_our_own_paths_alone(service: Service) -> None:
    """`continue` is a path of this host or it is nothing: no scheme, no host, no backslash, no control character."""
    service.member(service.account())
    for given in LOCAL + ELSEWHERE:
        person = service.person()
        token = person.open("/sign-in", **{"continue": given}).forms[0]
        data = {**token.fields, "email": DANA, "password": PASSWORD}
        answer = person.post(token.action, data)
        expected = given if given in LOCAL else "/"
        assert (answer.status_code, answer.headers["Location"]) == (303, expected), given
        again = person.client.get("/sign-in", base_url=ISSUER, query_string={"continue": given})
        assert (again.status_code, again.headers["Location"]) == (303, expected), given


def test_lg_11_a_sign_in_link_of_another_browser_starts_clean(service: Service) -> None:
    """The parked request is bound to the browser: a link sent to somebody else does not sign them in to it."""
    service.member(service.account(mfa="email"))
    service.client()
    _, challenge = pkce()
    attacker, victim = service.person(), service.person()
    attacker.open("/oauth/authorize", **service.authorization_request(challenge))
    service.sign_in(victim)
    victim.submit(code=service.code_for(DANA))
    assert victim.here.h1 == "You’re signed in"
    query = urlsplit(attacker.here.path).query
    for path in ("/sign-in", "/oauth/authorize"):
        for who in (victim, service.person()):
            page = who.open(f"{path}?{query}")
            assert (page.status, page.h1, who.left_for) == (410, "This link has expired", None)
    for path in ("/sign-in/code", "/sign-in/method", "/sign-in/phone", "/sign-in/verify", "/accounts"):
        # Their own chooser, for whoever is signed in; the foreign request is in none of it.
        assert victim.open(f"{path}?{query}").h1 == ("Choose an account" if path == "/accounts" else "You’re signed in")
        assert query not in victim.here.response.text
        stranger = service.person()
        assert stranger.open(f"{path}?{query}").h1 == "Sign in"
        assert query not in stranger.here.response.text
    assert sessions(service) == 1


def test_lg_10_the_password_makes_a_new_secret_and_the_session_another(service: Service) -> None:
    """A cookie that was planted before is worth nothing after (session fixation)."""
    service.member(service.account(mfa="email"))
    person = service.person()
    person.client.set_cookie("__Host-attempt", "planted" * 6, domain="login.ims.test", secure=True, path="/")
    service.sign_in(person)
    proved = person.cookie("attempt")
    assert proved not in (None, "planted" * 6)
    person.submit(code=service.code_for(DANA))
    signed_in = person.cookie("sid")
    assert signed_in not in (None, proved)
    assert person.cookie("attempt") is None
    for planted in ("planted" * 6, proved or ""):
        attacker = service.person()
        for name in ("__Host-attempt", "__Host-sid"):
            attacker.client.set_cookie(name, planted, domain="login.ims.test", secure=True, path="/")
        service.pass_time(seconds=61)
        assert attacker.open("/sign-in/code").h1 == "Sign in"
        assert attacker.open("/").h1 == "Sign in"


def test_lg_10_a_step_up_makes_a_new_secret_and_keeps_the_sid(service: Service) -> None:
    """The old one is dead at once; tokens name the same session before and after (ASVS 7.2.4)."""
    service.member(service.account())
    service.client()
    verifier, challenge = pkce()
    person = service.person()
    person.open("/oauth/authorize", **service.authorization_request(challenge))
    person.submit(email=DANA, password=PASSWORD)
    before = service.claims(service.redeem(person, verifier)["access_token"])
    old = person.cookie("sid")
    person.open("/oauth/authorize", **service.authorization_request(challenge, acr_values="urn:ims:acr:two-step"))
    person.submit(method="email")
    person.submit(code=service.code_for(DANA))
    after = service.claims(service.redeem(person, verifier)["access_token"])
    assert (before["sid"], before["acr"]) == (after["sid"], "urn:ims:acr:password")
    assert after["acr"] == "urn:ims:acr:two-step"
    thief = service.person()
    thief.client.set_cookie("__Host-sid", old or "", domain="login.ims.test", secure=True, path="/")
    assert thief.open("/").h1 == "Sign in"


def test_lg_15_no_step_can_be_posted_before_the_password(service: Service) -> None:
    """With a good token and everything a later form could hold: the sign-in it belongs to does not exist."""
    member = service.member(service.account())
    person = service.person()
    token = person.open("/sign-in").forms[0].fields["csrf_token"]
    data = {"code": "123456", "method": "email", "phone": "5125550143", "skip": "1", "account": member.id}
    for path in ("/sign-in/code", "/sign-in/verify", "/sign-in/method", "/sign-in/phone", "/accounts"):
        answer = person.post(path, {**data, "csrf_token": token})
        assert (answer.status_code, TOO_OLD in answer.text) == (400, True)
        assert person.open(path).h1 == "Sign in"
    assert (service.deliver(), sessions(service)) == (0, 0)


def test_lg_15_no_form_of_another_step_leads_past_the_code(service: Service) -> None:
    """Skip, choose, enrol, choose again, empty, back: the server decides what comes next, not the form."""
    member = service.member(service.account(mfa="email"))
    person = service.person()
    service.sign_in(person)
    token = person.here.forms[0].fields["csrf_token"]
    for path, data in (
        ("/sign-in/verify", {"skip": "1"}),
        ("/sign-in/code", {"skip": "1"}),
        ("/sign-in/code", {}),
        ("/sign-in/phone", {"phone": "5125550143"}),
        ("/sign-in/phone", {"no_us_number": "1"}),
        ("/accounts", {"account": member.id}),
        ("/sign-in/method", {"method": "email"}),
    ):
        answer = person.post(path, {**data, "csrf_token": token})
        assert answer.status_code in (303, 422), path
        assert answer.headers.get("Location", "/sign-in/code") == "/sign-in/code"
    for path in ("/sign-in/verify", "/sign-in/phone", "/sign-in/method", "/accounts", "/sign-in/code"):
        assert person.open(path).h1 == "Enter your code"
    assert person.open("/").h1 == "Sign in"
    assert (sessions(service), person.cookie("sid"), service.deliver()) == (0, None, 1)


def test_mf_01_half_a_sign_in_opens_nothing(service: Service) -> None:
    """The right password without the code: no session row, no authorization, no account page."""
    person = at_the_code(service)
    service.client()
    _, challenge = pkce()
    person.open("/oauth/authorize", **service.authorization_request(challenge, prompt="none"))
    assert person.callback()["error"] == "login_required"
    for path in ("/", "/sign-out"):
        assert person.open(path).h1 == "Sign in"
    assert (sessions(service), person.cookie("sid")) == (0, None)


def test_mf_11_nobody_can_have_a_code_sent_without_the_password(service: Service) -> None:
    """Not by asking for one, not after a wrong password, not with a sign-in that is over."""
    service.member(service.account(mfa="email"))
    person = service.person()
    token = person.open("/sign-in").forms[0].fields["csrf_token"]
    assert person.post("/sign-in/code", {"resend": "1", "csrf_token": token}).status_code == 400
    service.sign_in(person, password="not the password of dana")
    assert person.open("/sign-in/code").h1 == "Sign in"
    assert service.deliver() == 0
    service.sign_in(person)
    service.pass_time(minutes=15)
    assert person.submit(button="resend").h1 == TOO_OLD
    service.deliver()
    assert service.emails.messages == []


def test_lg_17_cookies_of_a_sibling_host_are_ignored(service: Service) -> None:
    """Names without the prefix, values too long to be ours, and several of one name change nothing."""
    service.member(service.account())
    person = service.person()
    for name, value in (("sid", "x"), ("attempt", "y"), ("__Host-sid", "z" * 3000), ("remember-1", "w")):
        person.client.set_cookie(name, value, domain="login.ims.test", path="/sign-in")
    service.sign_in(person)
    assert person.here.h1 == "You’re signed in"
