"""The line that says why a code is asked for: one calm sentence for each situation (issue 3; domain D5, D6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from authsvc.login.why import CHANGES, Memory, Situation, why_a_code

NOW = datetime(2026, 11, 22, 21, 31, tzinfo=UTC)
HERE = Situation(account="Northgate", now=NOW)
LIVE = Memory(NOW - timedelta(days=5), NOW + timedelta(days=25))
OVER = Memory(NOW - timedelta(days=31), NOW - timedelta(days=1))
HERE_BEFORE = {"browser_known": True}


def ended(reason: str) -> Memory:
    """A memory that was ended by itself."""
    return replace(LIVE, ended_reason=reason)


def voided(changed: str | None) -> Memory:
    """A memory that a change of the person or the account has ended."""
    return replace(LIVE, voided=True, changed=changed)


CASES: list[tuple[str, dict[str, object], str]] = [
    ("a new browser", {}, "You haven’t signed in on this browser before."),
    ("a known one, not remembered", HERE_BEFORE, "This browser isn’t remembered, so Northgate asks for a code."),
    ("30 days over", {"memory": OVER}, "It has been 30 days since your last code on this browser."),
    (
        "an account's shorter time over",
        {"memory": Memory(NOW - timedelta(days=8), NOW - timedelta(days=1))},
        "It has been 7 days since your last code on this browser.",
    ),
    ("phone", {"memory": voided("phone_changed")}, "Your phone number has changed since your last code here."),
    ("policy", {"memory": voided("mfa_policy_changed")}, "Northgate has changed how it asks for codes."),
    ("password", {"memory": voided("password_changed")}, "Your password has changed since your last code here."),
    ("reset", {"memory": voided("password_reset")}, "Your password has changed since your last code here."),
    ("email", {"memory": voided("email_changed")}, "Your email address has changed since your last code here."),
    ("app", {"memory": voided("app_changed")}, "Your authenticator app has changed since your last code here."),
    ("forgotten", {"memory": ended("forgotten")}, "This browser was removed from your remembered devices."),
    (
        "an old generation",
        {"memory": ended("old_generation")},
        "We couldn’t be sure that this is still the browser you asked us to remember.",
    ),
    (
        "data access",
        {"memory": voided("sensitive_data_access_granted")},
        "You have been given Sensitive Data Access since your last code here.",
    ),
    ("everybody", {"memory": voided("key_withdrawn")}, "For safety, Northgate asks everyone for a code again."),
    (
        "a reason nobody has named",
        {"memory": voided("something_new")},
        "Something about your sign-in has changed since your last code here.",
    ),
    (
        "an epoch from before reasons were kept",
        {"memory": voided(None)},
        "Something about your sign-in has changed since your last code here.",
    ),
    ("replaced by a newer memory", HERE_BEFORE | {"memory": ended("replaced")}, "This browser isn’t remembered,"),
    ("changed, and over besides", {"memory": replace(OVER, voided=True, changed="phone_changed")}, "Your phone number"),
    ("a service", {"client": "Exports", "memory": OVER}, "Exports asks for a code before you go on."),
    ("a sensitive change", {"confirms": True, "memory": LIVE}, "We ask for a code before a sensitive change."),
    ("their own choice", {"own_choice": True}, "You set up an authenticator app, so we ask for its code."),
    ("their own choice, 30 days over", {"own_choice": True, "memory": OVER}, "It has been 30 days"),
    ("nothing is remembered here", {"may_remember": False}, "Northgate asks for a code at every sign-in."),
    (
        "nothing is remembered here any more",
        {"may_remember": False, "memory": voided("mfa_policy_changed")},
        "Northgate asks for a code at every sign-in.",
    ),
]


@pytest.mark.parametrize(("given", "said"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_each_situation_has_its_sentence(given: dict[str, object], said: str) -> None:
    """One each, said first that which the person can recognize."""
    assert why_a_code(replace(HERE, **given)).startswith(said)  # type: ignore[arg-type]


def test_every_sentence_is_calm_and_one() -> None:
    """Rule 14 of ux.md: no blame, no exclamation mark; and one sentence, for it stands above the field."""
    said = [why_a_code(replace(HERE, **given)) for _, given, _ in CASES]  # type: ignore[arg-type]
    for sentence in said + [words.format(account="Northgate") for words in CHANGES.values()]:
        assert sentence.endswith(".")
        assert sentence.count(".") == 1
        assert not {"!", "please", "suspicious", "attack"} & set(sentence.lower().replace("!", " ! ").split())
