"""What text messages may cost a day, and phone prefixes whose codes nobody answers: exact, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from authsvc.clock import FixedClock
from authsvc.throttle import Wait
from tests.support.service import DANA, DANAS_PHONE, Service, make_ring, shipped_policies

Make = Callable[..., Service]


@pytest.fixture
def service_with(database_url: str, clock: FixedClock, ring_folder: Path) -> Iterator[Make]:
    """A service whose text messages cost a dollar each; what else its policy says is the test's."""
    made: list[Service] = []

    def make(**changed: Any) -> Service:
        policies = shipped_policies()
        given = {"price": 1_000_000, "daily_budget": 1_000_000_000, **changed}
        texts = policies.throttle.text_messages.model_copy(update=given)
        throttle = policies.throttle.model_copy(update={"text_messages": texts})
        ring = make_ring(ring_folder, clock)
        made.append(Service.on(database_url, clock=clock, ring=ring, policies=replace(policies, throttle=throttle)))
        return made[-1]

    yield make
    for service in made:
        service.services.database.dispose()


def text(service: Service, number: str = DANAS_PHONE) -> Wait | None:
    """Take what one message takes."""
    with service.services.database.transaction() as tx:
        return service.services.texts.take(tx, number)


def alarms(service: Service) -> list[int]:
    return [row.fields["percent"] for row in service.events("texts.budget_reached")]


def test_of_twelve_texts_at_once_the_days_money_pays_for_five(service_with: Make) -> None:
    """MF-25: the cap is exact over connections; operators hear of 50, 80 and 100 per cent once each; a new day is new."""
    service = service_with(daily_budget=5_500_000)
    numbers = [f"+1512{exchange}0142" for exchange in range(200, 212)]
    answers = service.at_once(*[lambda number=number: text(service, number) for number in numbers])
    refused = [wait for wait in answers if wait is not None]
    assert len(refused) == 7
    assert {(wait.limit, wait.until.isoformat()) for wait in refused} == {("text_budget", "2026-11-23T00:00:00+00:00")}
    assert sorted(alarms(service)) == [50, 80, 100]
    assert service.services.texts.is_spent

    service.pass_time(hours=3)
    assert not service.services.texts.is_spent
    assert text(service) is None


def test_a_prefix_whose_codes_nobody_answers_is_blocked_for_the_day(service_with: Make) -> None:
    """MF-25: twenty messages, fewer than a fifth answered, by thirty at once; other prefixes go on; a refusal costs nothing."""
    service = service_with(daily_budget=100_000_000)
    answers = service.at_once(*[lambda last=last: text(service, f"+1512555{last:04}") for last in range(30)])
    assert sum(wait is None for wait in answers) == 20
    assert {wait.limit for wait in answers if wait is not None} == {"text_prefix"}
    assert text(service, "+15125560142") is None
    assert alarms(service) == []
    service.pass_time(hours=3)
    assert text(service) is None


def test_a_prefix_whose_people_enter_their_codes_is_never_blocked(service_with: Make) -> None:
    """An office that shares an exchange: one of five is enough."""
    service = service_with()
    for number in range(40):
        assert text(service) is None, number
        if number % 5 == 0:
            with service.services.database.transaction() as tx:
                service.services.texts.answered(tx, DANAS_PHONE)


def test_thirty_codes_an_hour_go_to_one_prefix(service_with: Make) -> None:
    """security.md 5, whoever asks and whatever the number; the refusal is in the trail; mail is not counted."""
    service = service_with(least_answered=0)
    sends = service.services.flow.sends

    def take(number: int, channel: str) -> Wait | None:
        target = f"+1512555{number:04}" if channel == "sms" else f"{number}@x.example"
        with service.services.database.transaction() as tx:
            return sends.take(
                tx, channel=channel, target=target, user_id=f"user-{number}", account_id="northgate", members=10
            )

    found = [take(number, "sms") for number in range(31)]
    assert found[:30] == [None] * 30
    assert found[30] is not None
    assert found[30].limit == "send_per_phone_prefix"
    assert [row.fields["limit"] for row in service.events("texts.stopped")] == ["send_per_phone_prefix"]
    assert take(99, "email") is None


def test_when_the_money_is_gone_the_method_is_not_shown(service_with: Make) -> None:
    """The code under way is answered as ever; the next person gets theirs by email, and the trail says why."""
    service = service_with(daily_budget=1_000_000)
    service.member(service.account(mfa="email+sms"))
    only = service.account("harborview", mfa="sms")
    service.member(only, "marcus@harborview.example", phone="+12125550143")
    first, second, third = (service.person() for _ in range(3))
    service.sign_in(first)
    first.submit(method="sms")
    code = service.code_for(DANAS_PHONE)
    service.sign_in(second)
    assert second.here.h1 == "Choose how to get your code"
    second.submit(method="sms")
    assert (second.here.h1, "by text" in second.here.text) == ("Enter your code", False)
    assert second.submit(code=service.code_for(DANA)).h1 == "You’re signed in"
    assert first.submit(code=code).h1 == "You’re signed in"

    service.sign_in(third, "marcus@harborview.example")
    assert "m•••@harborview.example" in third.here.text
    assert third.submit(code=service.code_for("marcus@harborview.example")).h1 == "You’re signed in"
    assert [row.fields["reason"] for row in service.events("mfa.email_fallback")] == ["texts_stopped"]
    assert len(service.texts.messages) == 1


def test_where_policy_mails_nobody_instead_they_wait(service_with: Make) -> None:
    """`when_spent: wait`: an account of text messages alone stays one; the page says until when, and nothing is sent."""
    service = service_with(daily_budget=1_000_000, when_spent="wait")
    assert text(service, "+12125550143") is None
    service.member(service.account(mfa="sms"))
    dana = service.person()
    service.sign_in(dana)
    assert "We couldn’t send a code just now." in dana.here.text
    page = dana.submit(button="resend")
    assert (page.status, "Try again at 7:00 PM" in page.text) == (429, True)
    service.deliver()
    assert (service.emails.messages, service.texts.messages) == ([], [])
