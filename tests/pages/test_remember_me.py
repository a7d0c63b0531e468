"""Remember Me (domain R1 to R3, D5 to D7; security.md MF-02, MF-20, MF-21): what spares the code, and what does not."""

from __future__ import annotations

from authsvc.audit import Event
from authsvc.devices.models import RememberedDevice
from authsvc.sessions import levels
from tests.support.journey import Person
from tests.support.service import DANA, PASSWORD, Service

ENTER, SIGNED_IN = "Enter your code", "You’re signed in"
PRIYA = "priya@northgate.example"


def come_in(service: Service, person: Person, email: str = DANA, *, tick: bool = True, account: str = "") -> None:
    """Password and code, with the box ticked or not."""
    service.sign_in(person, email, **({"account": account} if account else {}))
    person.submit(code=service.code_for(email), remember="1" if tick else None)
    assert person.here.h1 == SIGNED_IN


def come_back(service: Service, person: Person, email: str = DANA, *, account: str = "") -> str:
    """Sign out and in again; answers where the password leads."""
    person.open("/sign-out")
    if person.here.h1 == "Sign out?":
        person.submit(form=0)
    service.sign_in(person, email, **({"account": account} if account else {}))
    return person.here.h1


def remember_cookies(person: Person) -> dict[str, str]:
    """The cookies that remember somebody on this browser."""
    return {c.key: c.value for c in person.client._cookies.values() if c.key.startswith("__Host-remember-")}


def test_r1_a_ticked_box_spares_the_code_for_thirty_days(service: Service) -> None:
    """The password is always asked; on the thirty-first day the code is, too."""
    service.member(service.account(mfa="email"))
    person = service.person()
    service.sign_in(person)
    assert "Remember Me on this device for 30 days" in person.here.text
    assert "Skips the code on this browser until Dec 22. Leave it off on a shared computer." in person.here.text
    person.submit(code=service.code_for(DANA), remember="1")
    assert service.events(Event.SESSION_STARTED)[-1].fields["acr"] == levels.TWO_STEP
    for _ in range(3):
        service.pass_time(days=9)
        assert come_back(service, person) == SIGNED_IN
        assert service.events(Event.SESSION_STARTED)[-1].fields["acr"] == levels.REMEMBERED
    service.pass_time(days=3, seconds=1)
    assert come_back(service, person) == ENTER


def test_the_cookie_is_out_of_reach_and_new_at_each_use(service: Service) -> None:
    """`__Host-`, Secure, HttpOnly, Lax; another secret after each sign-in. It outlives its 30 days to say that they are over."""
    service.member(service.account(mfa="email"))
    person = service.person()
    service.sign_in(person)
    form = person.here.forms[0]
    answer = person.post(form.action, {**form.fields, "code": service.code_for(DANA), "remember": "1"})
    (cookie,) = [line for line in answer.headers.getlist("Set-Cookie") if "remember-" in line]
    assert cookie.startswith("__Host-remember-")
    for attribute in ("Secure", "HttpOnly", "Path=/", "SameSite=Lax", "Max-Age=5184000"):
        assert attribute in cookie.split("; ")
    assert "Domain" not in cookie
    (first,) = remember_cookies(person).values()
    assert come_back(service, person) == SIGNED_IN
    (second,) = remember_cookies(person).values()
    assert (first.partition(".")[0] == second.partition(".")[0], first == second) == (True, False)


def test_mf_02_no_cookie_before_the_code_was_right(service: Service) -> None:
    """Ticked with a wrong code, with an expired one, with a throttled one: nothing is remembered."""
    service.member(service.account(mfa="email"))
    person = service.person()
    service.sign_in(person)
    code = service.code_for(DANA)
    for number in range(1, 5):
        person.submit(code=f"{(int(code) + number) % 1_000_000:06}", remember="1")
        assert remember_cookies(person) == {}
    service.pass_time(minutes=10, seconds=1)
    person.submit(code=code, remember="1")
    assert (remember_cookies(person), service.events(Event.DEVICE_REMEMBERED)) == ({}, [])


def test_an_unticked_box_remembers_nothing(service: Service) -> None:
    """Both states of the box do what they say; a tick of before does not stick."""
    service.member(service.account(mfa="email"))
    person = service.person()
    service.sign_in(person)
    code = service.code_for(DANA)
    person.submit(code=f"{(int(code) + 1) % 1_000_000:06}", remember="1")
    person.submit(code=code, remember=None)
    assert (person.here.h1, remember_cookies(person)) == (SIGNED_IN, {})
    assert come_back(service, person) == ENTER


def test_mf_20_the_cookie_is_useless_without_the_password(service: Service) -> None:
    """It is asked only after the password, and opens nothing by itself."""
    service.member(service.account(mfa="email"))
    person = service.person()
    come_in(service, person)
    thief = service.person(address="203.0.113.9")
    for name, value in remember_cookies(person).items():
        thief.client.set_cookie(name, value, domain="login.ims.test", secure=True, path="/")
    for path in ("/", "/sign-in/code", "/accounts"):
        assert thief.open(path).h1 == "Sign in"
    service.sign_in(thief, password="not the password of dana")
    assert (thief.here.status, thief.cookie("sid")) == (401, None)
    assert len(service.events(Event.DEVICE_USED)) == 0


def test_mf_20_a_copy_that_was_used_ends_it_for_both(service: Service) -> None:
    """Password and cookie stolen: the next of the two who comes is asked for a code, and the trail says why."""
    service.member(service.account(mfa="email"))
    person, thief = service.person(), service.person(address="203.0.113.9")
    come_in(service, person)
    for name, value in remember_cookies(person).items():
        thief.client.set_cookie(name, value, domain="login.ims.test", secure=True, path="/")
    service.sign_in(thief)
    assert thief.here.h1 == SIGNED_IN
    service.deliver()
    assert service.emails.to(DANA)[-1].purpose == "notice_new_device"
    service.pass_time(hours=1)
    assert come_back(service, person) == ENTER
    assert service.events(Event.DEVICE_ENDED)[-1].fields["reason"] == "old_generation"
    service.pass_time(minutes=1)
    assert come_back(service, thief) == ENTER


def test_mf_20_an_altered_cookie_asks_for_the_code(service: Service) -> None:
    """Whatever is in it."""
    service.member(service.account(mfa="email"))
    person = service.person()
    for altered in ("{0[0]}.", "{0[0]}.{0[1]}x", "{0[0]}{0[1]}", "{0[1]}.{0[0]}", "", "\0" * 32 + ".{0[1]}"):
        come_in(service, person)
        ((name, value),) = remember_cookies(person).items()
        other = altered.format(value.split("."))
        person.client.set_cookie(name, other, domain="login.ims.test", secure=True, path="/")
        assert come_back(service, person) == ENTER
        service.pass_time(minutes=10)


def test_several_people_on_one_browser_each_keep_theirs(service: Service) -> None:
    """A cookie for each membership: nobody's spares another's code, and none pushes another's out (D5)."""
    account = service.account(mfa="email")
    service.member(account)
    service.member(account, PRIYA)
    person = service.person()
    come_in(service, person)
    assert come_back(service, person, PRIYA) == ENTER
    person.submit(code=service.code_for(PRIYA), remember="1")
    assert len(remember_cookies(person)) == 2
    for email in (DANA, PRIYA, DANA):
        service.pass_time(days=1)
        assert come_back(service, person, email) == SIGNED_IN


def test_mf_21_remembered_in_one_account_is_not_in_another(service: Service) -> None:
    """Bound to person and account: the same person, elsewhere, shows a code of its own."""
    from authsvc.accounts.models import User

    dana = service.member(service.account(mfa="email"))
    with service.services.database.transaction(read_only=True) as tx:
        user = tx.get_one(User, dana.user_id)
    service.member(service.account("westgate", mfa="email"), user=user)
    person = service.person()
    come_in(service, person, account="northgate")
    assert come_back(service, person, account="westgate") == ENTER
    ((name, value),) = remember_cookies(person).items()
    person.submit(code=service.code_for(DANA), remember="1")
    (other,) = [name_ for name_ in remember_cookies(person) if name_ != name]
    # A value under the other account's name is refused as well.
    with service.services.database.transaction() as tx:
        tx.get_one(RememberedDevice, remember_cookies(person)[other].partition(".")[0]).ended_at = service.clock.now()
    person.client.set_cookie(other, value, domain="login.ims.test", secure=True, path="/")
    assert come_back(service, person, account="westgate") == ENTER
    assert come_back(service, person, account="northgate") == SIGNED_IN


def test_d6_it_survives_sign_out_which_says_so(service: Service) -> None:
    """And can be removed there, without signing out (ux.md S13)."""
    service.member(service.account(mfa="email"))
    person = service.person()
    come_in(service, person)
    page = person.open("/sign-out")
    assert "This device stays remembered until Dec 22, so your next sign-in here won’t ask for a code." in page.text
    assert come_back(service, person) == SIGNED_IN
    person.open("/sign-out")
    page = person.submit(button="forget")
    assert (page.h1, "stays remembered" in page.text) == ("Sign out?", False)
    assert person.open("/").h1 == SIGNED_IN
    assert service.events(Event.DEVICE_ENDED)[-1].fields["reason"] == "forgotten"
    assert come_back(service, person) == ENTER


def test_removing_it_twice_signs_nobody_out(service: Service) -> None:
    """A double press, or a page of before: the device is forgotten, and that is all."""
    service.member(service.account(mfa="email"))
    person = service.person()
    come_in(service, person)
    form = person.open("/sign-out").forms[-1]
    for name in [*remember_cookies(person), None]:
        assert person.post(form.action, {**form.fields, "forget": "1"}).headers["Location"] == "/sign-out"
        if name:
            person.client.delete_cookie(name, domain="login.ims.test")
    assert person.open("/").h1 == SIGNED_IN


def test_d7_where_the_account_forbids_it_there_is_no_box(service: Service) -> None:
    """Posting the tick by hand remembers nothing, and a device of before does not count."""
    account = service.account(mfa="email")
    service.member(account)
    person = service.person()
    come_in(service, person)
    service.set_mfa(account, "email", remember=False)
    assert come_back(service, person) == ENTER
    assert "Remember Me" not in person.here.text
    form = person.here.forms[0]
    answer = person.post(form.action, {**form.fields, "code": service.code_for(DANA), "remember": "1"})
    assert answer.status_code == 303
    assert "remember-" not in str(answer.headers)
    assert len(service.events(Event.DEVICE_REMEMBERED)) == 1


def test_a_request_for_more_asks_for_the_code_and_leaves_the_device(service: Service) -> None:
    """claims.md: two-step or more ignores a remembered device; the next ordinary sign-in is spared again."""
    from tests.support.service import pkce

    service.member(service.account(mfa="email"))
    service.client()
    _, challenge = pkce()
    person = service.person()
    come_in(service, person)
    assert come_back(service, person) == SIGNED_IN
    person.open("/oauth/authorize", **service.authorization_request(challenge, acr_values="urn:ims:acr:two-step"))
    assert person.here.h1 == ENTER
    assert "IMS portal asks for a code before you go on." in person.here.text
    assert person.submit(code=service.code_for(DANA)).h1 != ENTER
    assert come_back(service, person) == SIGNED_IN


def test_two_tabs_with_one_cookie_are_both_spared_the_code(service: Service) -> None:
    """Opened together, sent together: two sessions at most, one live secret, nobody asked."""
    service.member(service.account(mfa="email"))
    person = service.person()
    come_in(service, person)
    person.open("/sign-out")
    person.submit(form=0)
    form = person.open("/sign-in").forms[0]
    cookies = "; ".join(f"{cookie.key}={cookie.value}" for cookie in person.client._cookies.values())

    def press() -> tuple[str, bool]:
        data, headers = {**form.fields, "email": DANA, "password": PASSWORD}, {"Cookie": cookies}
        answer = service.machine().post("/sign-in", base_url=person.issuer, data=data, headers=headers)
        return answer.headers["Location"], "remember-" in str(answer.headers)

    assert sorted(service.at_once(press, press)) == [("/", False), ("/", True)]
