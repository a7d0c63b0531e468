"""Does the session answer the request, or what must be asked first: a table of cases (OpenID Connect Core 3.1.2.1)."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from authsvc.oauth.errors import (
    InvalidRequestObject,
    InvalidRequestUri,
    InvalidTarget,
    RequestUriNotSupported,
    UnmetAuthenticationRequirements,
)
from authsvc.oauth.interaction import Ask, Before, Reason, SignedIn, Wish, what_to_ask
from authsvc.sessions.levels import ORDER, PASSWORD, REMEMBERED, TWO_FACTOR, TWO_STEP
from authsvc.web.headers import origin_of

NOW = datetime(2026, 11, 22, 21, 31, tzinfo=UTC)
NOTHING = Wish(prompt=frozenset(), max_age=None, acr=None, account_slug=None)
AN_HOUR_AGO = NOW - timedelta(hours=1)
#: Signed in an hour ago with a password alone.
DANA = SignedIn(account_slug="northgate", acr=PASSWORD, auth_time=AN_HOUR_AGO, password_at=AN_HOUR_AGO)
MINUTE = timedelta(minutes=1)


def asked(
    wish: Wish = NOTHING,
    session: SignedIn | None = DANA,
    *,
    parked_at: datetime | None = None,
    signed_in_at: datetime | None = None,
    now: datetime = NOW,
    agreed: bool = True,
) -> Reason | None:
    """The reason alone."""
    before = Before(parked_at, signed_in_at) if parked_at else None
    ask = what_to_ask(wish, session, before=before, now=now, agreed=agreed)
    return ask.reason if ask else None


def test_nobody_is_signed_in() -> None:
    """Then everything else is asked on the way."""
    assert what_to_ask(NOTHING, None, before=None, now=NOW) == Ask(Reason.NOT_SIGNED_IN, "login_required")
    assert asked(session=None, parked_at=NOW) is Reason.NOT_SIGNED_IN


def test_a_session_answers_a_request_that_wants_nothing() -> None:
    """Single sign-on."""
    assert asked() is None


def test_another_account_is_asked_for_by_its_own_error() -> None:
    """Core 3.1.2.6: account_selection_required."""
    wish = replace(NOTHING, account_slug="harbor")

    assert what_to_ask(wish, DANA, before=None, now=NOW) == Ask(Reason.OTHER_ACCOUNT, "account_selection_required")
    assert asked(replace(NOTHING, account_slug="northgate")) is None


@pytest.mark.parametrize(
    ("max_age_s", "age_s", "reason"),
    [
        (60, 59, None),
        (60, 60, None),
        (60, 61, Reason.PASSWORD_WANTED),
        (10_000, 3600, None),
        (0, 0, None),
        (0, 1, Reason.PASSWORD_WANTED),
    ],
)
def test_max_age_counts_from_the_last_proof(max_age_s: int, age_s: int, reason: Reason | None) -> None:
    """Core 3.1.2.1: re-authenticate "if the elapsed time is greater than this value"."""
    then = NOW - timedelta(seconds=age_s)
    session = replace(DANA, auth_time=then, password_at=then)

    assert asked(replace(NOTHING, max_age=timedelta(seconds=max_age_s)), session) is reason


def test_max_age_is_met_by_a_code_that_was_entered_since() -> None:
    """auth_time is "the last time the person actively proved anything" (claims.md): a step-up is such a time."""
    session = replace(DANA, auth_time=NOW - MINUTE, acr=TWO_STEP)

    assert asked(replace(NOTHING, max_age=2 * MINUTE), session) is None


def test_prompt_login_wants_the_password_however_fresh_the_session() -> None:
    """Core 3.1.2.1: login "SHOULD prompt the End-User for reauthentication"."""
    wish = replace(NOTHING, prompt=frozenset({"login"}))
    fresh = replace(DANA, auth_time=NOW, password_at=NOW)

    assert asked(wish, fresh) is Reason.PASSWORD_WANTED
    assert asked(wish, fresh, parked_at=NOW + MINUTE) is Reason.PASSWORD_WANTED


def test_what_was_typed_since_the_request_was_parked_answers_it() -> None:
    """Else prompt=login, and max_age=0, would be asked for ever (libraries.md 1.2)."""
    back = replace(DANA, auth_time=NOW, password_at=NOW)
    for wish in (replace(NOTHING, prompt=frozenset({"login"})), replace(NOTHING, max_age=timedelta(0))):
        assert asked(wish, back, parked_at=NOW - MINUTE, now=NOW + MINUTE) is None


def test_a_code_alone_does_not_answer_prompt_login() -> None:
    """The password was wanted; a step-up in another tab moves auth_time and not password_at."""
    stepped_up = replace(DANA, auth_time=NOW, acr=TWO_STEP)
    wish = replace(NOTHING, prompt=frozenset({"login"}))

    assert asked(wish, stepped_up, parked_at=NOW - MINUTE) is Reason.PASSWORD_WANTED


def test_a_higher_level_is_asked_for_and_a_lower_one_is_not() -> None:
    """The whole table of sessions and wishes."""
    for (have, acr), (want, wanted) in itertools.product(enumerate(ORDER), repeat=2):
        reason = asked(replace(NOTHING, acr=wanted), replace(DANA, acr=acr))
        assert reason is (None if have >= want else Reason.MORE_WANTED), (acr, wanted)


def test_who_has_just_shown_what_they_can_is_not_asked_again() -> None:
    """claims.md: "a voluntary request may be answered lower only with the true acr": lower, but no endless loop."""
    shown = replace(DANA, auth_time=NOW, acr=TWO_STEP)

    assert asked(replace(NOTHING, acr=TWO_FACTOR), shown, parked_at=NOW - MINUTE) is None
    assert asked(replace(NOTHING, acr=TWO_FACTOR), shown, parked_at=NOW + MINUTE) is Reason.MORE_WANTED


def test_the_password_is_asked_before_the_code() -> None:
    """Both wanted: one way through the pages shows both."""
    wish = replace(NOTHING, prompt=frozenset({"login"}), acr=TWO_STEP)

    assert asked(wish) is Reason.PASSWORD_WANTED


def test_prompt_none_changes_the_answer_and_not_the_question() -> None:
    """Whether it may be asked is the endpoint's to say; why it would be is the same."""
    quiet = frozenset({"none"})

    assert asked(replace(NOTHING, prompt=quiet)) is None
    assert asked(replace(NOTHING, prompt=quiet, acr=REMEMBERED)) is Reason.MORE_WANTED


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://portal.ims.test/callback?x=https://evil.example/", "https://portal.ims.test"),
        ("https://portal.ims.test?x", "https://portal.ims.test"),
        ("http://127.0.0.1:8001/callback", "http://127.0.0.1:8001"),
        ("https://portal.ims.test", "https://portal.ims.test"),
    ],
)
def test_the_origin_of_an_address_is_its_scheme_host_and_port(url: str, origin: str) -> None:
    """It goes into the pages' form-action, where anything more would allow more."""
    assert origin_of(url) == origin


def test_wire_errors_have_their_registered_names() -> None:
    """RFC 8707 2, OpenID Connect Core 3.1.2.6 and its Unmet Authentication Requirements: clients compare these strings."""
    kinds = (
        InvalidTarget,
        InvalidRequestObject,
        InvalidRequestUri,
        RequestUriNotSupported,
        UnmetAuthenticationRequirements,
    )

    assert [error.error for error in kinds] == [
        "invalid_target",
        "invalid_request_object",
        "invalid_request_uri",
        "request_uri_not_supported",
        "unmet_authentication_requirements",
    ]


def test_what_the_client_cannot_do_without_is_asked_while_it_can_be_reached() -> None:
    """claims.md: an essential acr, or a registered minimum, "that cannot be met ends in unmet_authentication_requirements"."""
    needs = replace(NOTHING, needs=TWO_STEP)
    shown = replace(DANA, auth_time=NOW, password_at=NOW)

    assert asked(needs) is Reason.MORE_WANTED
    assert asked(needs, shown, parked_at=NOW - MINUTE) is Reason.MORE_WANTED, (
        "a password in another tab was not the code"
    )
    assert asked(needs, replace(DANA, acr=TWO_FACTOR)) is None, "the levels are ordered: more will do"
    assert asked(replace(needs, reachable=False), replace(DANA, acr=TWO_STEP)) is None
    out = what_to_ask(replace(needs, reachable=False), DANA, before=None, now=NOW)
    assert out == Ask(Reason.OUT_OF_REACH, "unmet_authentication_requirements")


def test_the_person_meant_is_asked_once_and_another_is_refused() -> None:
    """Core 3.1.2.2: the server "MUST NOT reply with an ID Token or Access Token for a different user"."""
    theo = replace(NOTHING, sub="theo")
    dana = replace(DANA, sub="dana")

    assert asked(replace(NOTHING, sub="dana"), dana) is None
    assert asked(theo, dana) is Reason.OTHER_PERSON
    assert asked(theo, dana, parked_at=NOW) is Reason.OTHER_PERSON, "nothing was typed since"
    typed = replace(dana, password_at=NOW)
    assert what_to_ask(theo, typed, before=Before(NOW - MINUTE, NOW), now=NOW) == Ask(
        Reason.OUT_OF_REACH, "login_required"
    )
    assert asked(replace(NOTHING, sub=""), dana) is Reason.OTHER_PERSON, "somebody we do not know is nobody here"


def test_select_account_is_done_by_a_sign_in_for_this_request() -> None:
    """Core 3.1.2.1: "prompt the End-User to select a user account"; in a session too, and once."""
    wish = replace(NOTHING, prompt=frozenset({"select_account"}))

    assert what_to_ask(wish, DANA, before=None, now=NOW) == Ask(Reason.ACCOUNT_WANTED, "account_selection_required")
    assert asked(wish, parked_at=NOW - MINUTE) is Reason.ACCOUNT_WANTED
    assert asked(wish, parked_at=NOW - MINUTE, signed_in_at=NOW) is None


def test_consent_is_asked_last() -> None:
    """By the person who then is signed in, in the account they then are in."""
    assert what_to_ask(NOTHING, DANA, before=None, now=NOW, agreed=False) == Ask(
        Reason.CONSENT_WANTED, "consent_required"
    )
    assert asked(replace(NOTHING, acr=TWO_STEP), agreed=False) is Reason.MORE_WANTED
    assert asked(session=None, agreed=False) is Reason.NOT_SIGNED_IN
