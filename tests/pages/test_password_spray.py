"""Wrong passwords over many people (security.md LG-07, promise P12 and section 5): told, and unknown browsers wait first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from structlog.testing import capture_logs

from authsvc.policy.load import Policies
from authsvc.policy.values import parse_rate
from tests.support.journey import Person
from tests.support.service import DANA, PASSWORD, Service, shipped_policies

Start = Callable[..., Service]
SPRAYED = "Summer in Austin 2026!"
WAITS = "Too many tries. You can try again at"


def with_limits(**limits: str) -> Policies:
    """The shipped policies with some limits smaller, so that a test need not knock a thousand times."""
    shipped = shipped_policies()
    rates = {name: (parse_rate(rate),) for name, rate in limits.items()}
    changed = shipped.throttle.limits.model_copy(update=rates)
    return replace(shipped, throttle=shipped.throttle.model_copy(update={"limits": changed}))


def guess(service: Service, email: str, *, address: str, password: str) -> int:
    """One try from a browser nobody knows; answers the status."""
    person = service.person(address=address)
    service.sign_in(person, email, password=password)
    return person.here.status


def known(service: Service, email: str = DANA, *, address: str = "198.51.100.7") -> Person:
    """Somebody whose browser is known by a sign-in, signed out again."""
    person = service.person(address=address)
    service.sign_in(person, email)
    person.open("/sign-out")
    person.submit()
    return person


def alarms(service: Service) -> list[tuple[str, str | None]]:
    """Limit and account of every alarm in the trail."""
    return [(event.fields["limit"], event.account_id) for event in service.events("sign_in.spray_suspected")]


def test_lg_07_one_password_over_many_people_is_told_at_once(service_with: Start) -> None:
    """Each person once, each from elsewhere, far below every other limit: thirty of a kind in an hour are an alarm.

    Once, in the trail and as an error in the log, which names neither the password nor a person; in the next hour again.
    """
    service = service_with(policies=with_limits(same_password="8 per 1h"))
    service.member(service.account())
    with capture_logs() as logged:
        for number in range(12):
            guess(service, f"member{number}@northgate.example", address=f"203.0.113.{number}", password=f"{number} no")
        assert alarms(service) == []
        for number in range(12):
            guess(service, f"member{number}@harbor.example", address=f"203.0.113.{number}", password=SPRAYED)
    assert alarms(service) == [("same_password", None)]
    assert [line for line in logged if line["log_level"] == "error"] == [
        {"event": "sign_in.spray_suspected", "limit": "same_password", "account_id": None, "log_level": "error"}
    ]
    assert SPRAYED not in service.everything_stored()
    # Nobody waits for it: a pause would tell which password it was.
    assert guess(service, DANA, address="203.0.113.99", password=PASSWORD) == 200
    service.pass_time(hours=1)
    for number in range(9):
        guess(service, f"member{number}@harbor.example", address=f"203.0.114.{number}", password=SPRAYED)
    assert len(alarms(service)) == 2


def test_lg_07_one_network_address_is_let_try_so_many_people(service_with: Start) -> None:
    """Distinct people count, not tries: whoever mistypes their own nine times is one."""
    service = service_with(policies=with_limits(password_users_per_address="5 per 10m"))
    service.member(service.account())
    here = "203.0.113.7"
    for _ in range(9):
        assert guess(service, DANA, address=here, password=SPRAYED) == 401
    people = [
        guess(service, f"member{number}@northgate.example", address=here, password=SPRAYED) for number in range(5)
    ]
    assert people == [401] * 4 + [429]
    assert guess(service, "member9@northgate.example", address="203.0.113.8", password=SPRAYED) == 401


def test_lg_07_above_the_limit_of_all_unknown_browsers_wait_first(service_with: Start) -> None:
    """A thousand in five minutes over the whole service: the alarm, and who signed in on this browser before goes on."""
    service = service_with(policies=with_limits(password_everywhere="10 per 5m"))
    service.member(service.account())
    dana = known(service)
    for number in range(10):
        assert guess(service, f"m{number}@harbor.example", address=f"203.0.113.{number}", password=f"{number}") == 401
    service.sign_in(dana, password="a slip of the finger")
    assert dana.here.status == 401
    assert alarms(service) == [("password_everywhere", None)]
    stranger = service.person(address="203.0.113.77")
    service.sign_in(stranger)
    assert (stranger.here.status, WAITS in stranger.here.text) == (429, True)
    service.sign_in(dana)
    assert dana.here.h1 == "You’re signed in"
    service.pass_time(minutes=5)
    assert guess(service, DANA, address="203.0.113.77", password=PASSWORD) == 200
    assert service.events("sign_in.throttled")[-1].fields == {"limit": "password_everywhere"}


def test_lg_07_above_the_limit_of_an_account_its_admins_see_the_alarm(service_with: Start) -> None:
    """Three hundred in five minutes over one account: its unknown browsers wait, nobody else's."""
    service = service_with(policies=with_limits(password_per_account="6 per 5m"))
    account, other = service.account(), service.account("harborview")
    service.member(account, role="admin")
    service.member(account, "priya@northgate.example")
    service.member(other, "marcus@harborview.example")
    dana = known(service)
    for number in range(6):
        email = (DANA, "priya@northgate.example")[number % 2]
        assert guess(service, email, address=f"203.0.113.{number}", password=f"{number}") == 401
    assert [guess(service, DANA, address="203.0.113.77", password=PASSWORD) for _ in range(3)] == [429] * 3
    assert alarms(service) == [("password_per_account", account.id)]
    assert guess(service, "marcus@harborview.example", address="203.0.113.77", password=PASSWORD) == 200
    service.sign_in(dana)
    assert "Unusually many wrong passwords" in dana.open("/admin/activity").text


def test_promise_p12_a_bot_in_the_office_keeps_none_of_its_people_out(service_with: Start) -> None:
    """Behind one address people sign in on their own browsers, some with a slip, while a bot there tries its list.

    Shortened: a dozen people. The bot gets its twenty tries in five minutes, and they never wait.
    """
    service = service_with()
    account, office = service.account(), "203.0.113.7"
    emails = [f"member{number}@northgate.example" for number in range(12)]
    for email in emails:
        service.member(account, email, phone=None)
    people = [known(service, email, address=office) for email in emails]
    bot: list[int] = []
    for number, (email, person) in enumerate(zip(emails, people, strict=True)):
        if number == 5:
            service.sign_in(person, email, password="a slip of the finger")
            assert person.here.status == 401
        service.sign_in(person, email)
        assert person.here.h1 == "You’re signed in"
        bot += [
            guess(service, f"list{number}.{turn}@x.example", address=office, password=f"{turn}") for turn in (1, 2, 3)
        ]
    assert bot.count(401) <= 20
    assert set(bot[20:]) == {429}
