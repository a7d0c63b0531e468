"""How many codes may be tried: of one challenge, by one person over all sign-ins, from one address (MF-03 to MF-05)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from werkzeug.test import Client

from authsvc.audit import Event
from authsvc.policy.values import parse_rate
from tests.support.journey import Person
from tests.support.service import DANA, DANAS_PHONE, Service, shipped_policies

STOPPED = "For safety we stopped this sign-in. Start again at 4:46 PM EST."


def at_the_code(service: Service, *, method: str = "email", address: str = "198.51.100.7") -> Person:
    """A browser of its own, where Dana's code is asked."""
    person = service.person(address=address)
    service.sign_in(person)
    if person.here.h1 == "Choose how to get your code":
        person.submit(method=method)
    return person


def other_than(code: str, *, by: int = 1) -> str:
    """A wrong code."""
    return f"{(int(code) + by) % 1_000_000:06}"


def use_up(service: Service) -> tuple[Person, str]:
    """Five wrong codes; the browser and the right one."""
    service.member(service.account(mfa="email"))
    person = at_the_code(service)
    code = service.code_for(DANA)
    for tries in range(1, 6):
        person.submit(code=other_than(code, by=tries))
    return person, code


def test_mf_03_the_fifth_wrong_code_ends_the_sign_in(service: Service) -> None:
    """A page of its own, with the clock time at which to start again, and 429."""
    page = use_up(service)[0].here
    assert (page.status, page.h1) == (429, "Too many wrong codes")
    assert page.title == "Too many wrong codes – Northgate Capital Partners"
    assert STOPPED in page.text
    assert page.response.headers["Retry-After"] == "900"
    assert page.links["Start again"] == "/sign-in"
    assert len(service.events(Event.CODE_TRIES_EXHAUSTED)) == 1
    assert len(service.events(Event.CODE_WRONG)) == 4


def test_mf_03_after_the_last_try_the_right_code_is_refused(service: Service) -> None:
    """Typed in another tab, at once or later: the challenge is dead."""
    person, code = use_up(service)
    for minutes in (0, 5):
        service.pass_time(minutes=minutes)
        assert person.open("/sign-in/code").h1 == "Too many wrong codes"
        token = person.open("/sign-in").forms[0].fields["csrf_token"]
        answer = person.post("/sign-in/code", {"code": code, "csrf_token": token})
        assert (answer.status_code, "Too many wrong codes" in answer.text) == (429, True)
    assert service.events(Event.SESSION_STARTED) == []


def test_mf_03_a_new_sign_in_within_the_pause_is_stopped_too(service: Service) -> None:
    """In another browser, with the right password: no code is sent, and none is asked, before the pause is over."""
    use_up(service)
    service.pass_time(minutes=14, seconds=59)
    person = at_the_code(service, address="203.0.113.9")
    assert (person.here.status, person.here.h1) == (429, "Too many wrong codes")
    assert STOPPED in person.here.text
    assert len(service.emails.to(DANA)) == 1
    service.pass_time(seconds=1)
    person = at_the_code(service, address="203.0.113.9")
    assert person.here.h1 == "Enter your code"
    assert person.submit(code=service.code_for(DANA)).h1 == "You’re signed in"


def test_a_pause_of_one_person_is_nobody_elses(service: Service) -> None:
    """And a remembered device is not asked for a code, so it is not stopped."""
    account = service.account(mfa="email")
    service.member(account)
    service.member(account, "priya@northgate.example")
    remembered = at_the_code(service)
    remembered.submit(code=service.code_for(DANA), remember="1")
    remembered.open("/sign-out")
    remembered.submit(form=0)
    attacker = at_the_code(service, address="203.0.113.9")
    code = service.code_for(DANA)
    for tries in range(1, 6):
        attacker.submit(code=other_than(code, by=tries))
    assert attacker.here.h1 == "Too many wrong codes"
    priya = service.person()
    service.sign_in(priya, "priya@northgate.example")
    assert priya.submit(code=service.code_for("priya@northgate.example")).h1 == "You’re signed in"
    service.sign_in(remembered)
    assert remembered.here.h1 == "You’re signed in"


def test_mf_05_wrong_codes_are_counted_over_sign_ins_and_ways_and_addresses(service: Service) -> None:
    """A new sign-in, another way, a newer code and another address give no fresh tries: 5 in 5 minutes for one person."""
    service.member(service.account(mfa="email+sms"))
    people, codes = [], []
    for number, method in enumerate(("email", "sms", "email", "sms", "email", "sms")):
        people.append(at_the_code(service, method=method, address=f"203.0.113.{number}"))
        codes.append(service.code_for(DANA if method == "email" else DANAS_PHONE))
    service.pass_time(seconds=30)
    people[0].submit(button="resend")
    codes[0] = service.code_for(DANA)
    for person, code in zip(people[:5], codes, strict=False):
        assert person.submit(code=other_than(code)).status == 401
    page = people[5].submit(code=codes[5])
    assert (page.status, page.h1) == (429, "Too many wrong codes")
    assert int(page.response.headers["Retry-After"]) <= 60
    assert service.events(Event.SIGN_IN_THROTTLED)[-1].fields["limit"] == "code_per_user"
    service.pass_time(seconds=60)
    token = people[5].open("/sign-in/code").forms[0].fields["csrf_token"]
    answer = people[5].post("/sign-in/code", {"code": codes[5], "csrf_token": token})
    assert answer.status_code == 303


def test_mf_05_what_is_not_compared_leaves_its_tries(service: Service) -> None:
    """A person who is throttled has lost no try of the challenge: the code still works when the wait is over."""
    service.member(service.account(mfa="email"))
    first = at_the_code(service)
    others = service.code_for(DANA)
    second = at_the_code(service, address="203.0.113.9")
    code = service.code_for(DANA)
    for tries in range(1, 5):
        first.submit(code=other_than(others, by=tries))
    for tries in range(1, 3):
        second.submit(code=other_than(code, by=tries))
    assert second.here.status == 429
    service.pass_time(minutes=1)
    second.open("/sign-in/code")
    assert second.submit(code=other_than(code)).text.count("3 tries left.") == 2
    service.pass_time(minutes=1)
    assert second.submit(code=code).h1 == "You’re signed in"


def test_a_right_code_gives_its_slot_back(service: Service) -> None:
    """Successes do not count: one who signs in ten times in a row is not stopped."""
    service.member(service.account(mfa="email+sms"))
    for number in range(9):
        method = "sms" if number % 2 else "email"
        person = at_the_code(service, method=method, address=f"203.0.113.{number}")
        code = service.code_for(DANAS_PHONE if number % 2 else DANA)
        assert person.submit(code=code).h1 == "You’re signed in"


def test_one_address_has_ten_wrong_codes_in_five_minutes(service: Service) -> None:
    """Whoever they are for (security.md 5): also the right one waits there; another address goes on."""
    account, found = service.account(mfa="email"), []
    for number in range(6):
        email = f"person{number}@northgate.example"
        service.member(account, email)
        person = service.person()
        service.sign_in(person, email)
        code = service.code_for(email)
        if number < 5:
            found += [person.submit(code=other_than(code, by=tries)).status for tries in (1, 2)]
    assert found == [401] * 10
    page = person.submit(code=code)
    assert (page.status, page.h1, page.response.headers["Retry-After"]) == (429, "Too many wrong codes", "300")
    elsewhere = service.person(address="203.0.113.9")
    service.sign_in(elsewhere, "person0@northgate.example")
    assert elsewhere.submit(code=service.code_for("person0@northgate.example")).h1 == "You’re signed in"


def test_mf_04_of_parallel_wrong_codes_on_the_page_five_are_compared(service: Service) -> None:
    """Sixty at once and the right one last: the sign-in is stopped, and no session starts."""
    service.member(service.account(mfa="email"))
    person = at_the_code(service)
    code = service.code_for(DANA)
    form = person.here.forms[0]
    cookies = "; ".join(f"{cookie.key}={cookie.value}" for cookie in person.client._cookies.values())

    def post(typed: str, address: str) -> int:
        return (
            Client(service.app, use_cookies=False)
            .post(
                form.action,
                base_url=person.issuer,
                data={**form.fields, "code": typed},
                headers={"Cookie": cookies},
                environ_base={"REMOTE_ADDR": address},
            )
            .status_code
        )

    def tries(part: int) -> list[int]:
        return [post(other_than(code, by=10 * part + n + 1), f"203.0.113.{10 * part + n}") for n in range(10)]

    found = service.at_once(*(lambda part=part: tries(part) for part in range(6)))
    assert Counter(status for thread in found for status in thread) == {401: 4, 429: 56}
    assert post(code, "203.0.113.99") == 429
    assert service.events(Event.SESSION_STARTED) == []
    assert len(service.events(Event.CODE_WRONG)) + len(service.events(Event.CODE_TRIES_EXHAUSTED)) == 5


def test_mf_24_an_account_sends_so_many_codes_for_each_of_its_members(service_with: Callable[..., Service]) -> None:
    """Ten an hour for each, whoever gets them: here two, for two people, and for three in the next hour."""
    limits = shipped_policies().throttle.limits.model_copy(
        update={"send_per_account_member": (parse_rate("2 per 1h"),)}
    )
    throttle = shipped_policies().throttle.model_copy(update={"limits": limits})
    service = service_with(policies=replace(shipped_policies(), throttle=throttle))
    account, other = service.account(mfa="email"), service.account("harborview", mfa="email")
    people = [f"{name}@northgate.example" for name in ("dana", "priya", "theo")]
    for email in people[:2]:
        service.member(account, email, phone=None)
    service.member(account, "lee@northgate.example", phone=None, accepted=False)
    service.member(other, "marcus@harborview.example", phone=None)

    def sent(email: str) -> bool:
        person = service.person()
        service.sign_in(person, email)
        return "We sent a 6-digit code" in person.here.text

    assert [sent(people[0]) for _ in range(3)] + [sent(people[1])] == [True] * 4
    assert [sent(people[1]), sent(people[0])] == [False, False]
    assert sent("marcus@harborview.example")
    service.member(account, people[2], phone=None)
    service.pass_time(hours=1)
    assert [sent(email) for email in (*people, *people, people[2])] == [True] * 6 + [False]
