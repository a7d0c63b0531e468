"""What an account may choose, what a change does, who is ready for it, and how the page says so (pure)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from authsvc.account_settings.mfa_switch import Standing, listed
from authsvc.admin import mfa_words as words
from authsvc.admin.navigation import tabs
from authsvc.mfa.readiness import Candidate, sort_out
from authsvc.mfa.rules import Switch
from authsvc.mfa.switch import Change, NotChoosable, change, default, ends_remembering, settle
from authsvc.policy.schema import AudiencePolicy
from authsvc.web.text import zone_name

TEAM = AudiencePolicy(enforced_by_default=False, methods=("email", "sms"), remember_device="allowed")
INVESTORS = TEAM.model_copy(update={"sms_implies": "email"})
OFF = Switch(False, ("email",), True)
EAST = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 22, 21, 30, tzinfo=UTC)


def on(*methods: str, remember: bool = True) -> Switch:
    """Switched on."""
    return Switch(True, methods, remember)


def person(name: str, **known: object) -> Candidate:
    """A member with a verified address and a US number, unless told otherwise."""
    values = {"email_verified": True, "phone": "+15125550142", "phone_verified": True, **known}
    return Candidate(name, name, f"{name}@northgate.example", **values)  # type: ignore[arg-type]


def test_d3_email_comes_preselected() -> None:
    """Where it is open; else the first method that is."""
    assert default(TEAM) == OFF
    assert default(TEAM.model_copy(update={"methods": ("sms",)})).methods == ("sms",)


@pytest.mark.parametrize(
    ("wish", "policy", "settled"),
    [
        (on("sms", "email"), TEAM, on("email", "sms")),
        (on("sms"), TEAM, on("sms")),
        (on("sms"), INVESTORS, on("email", "sms")),
        (on(), TEAM, NotChoosable.NO_METHOD),
        (on("email", "voice"), TEAM, NotChoosable.UNKNOWN_METHOD),
        (Switch(False, (), True), TEAM, OFF),
        (on("email"), TEAM.model_copy(update={"remember_device": "forbidden"}), on("email", remember=False)),
    ],
)
def test_a_wish_is_brought_within_the_policy(
    wish: Switch, policy: AudiencePolicy, settled: Switch | NotChoosable
) -> None:
    """M11 adds, D3 refuses, D7 withholds; off keeps what was chosen."""
    assert settle(wish, policy, present=OFF) == settled


def test_what_a_save_amounts_to() -> None:
    """Order of methods is no change."""
    assert change(OFF, on("email")) is Change.TURNED_ON
    assert change(on("email"), OFF) is Change.TURNED_OFF
    assert change(on("email", "sms"), on("sms", "email")) is Change.NOTHING
    assert change(on("email"), on("sms")) is Change.CHANGED


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (OFF, on("email"), "mfa_turned_on"),
        (on("email", "sms"), on("email"), "mfa_methods_tightened"),
        (on("email"), on("email", remember=False), "remembering_forbidden"),
        (on("email"), on("email", "sms"), None),
        (on("email"), OFF, None),
        (on("email", remember=False), on("email"), None),
    ],
)
def test_d6_d7_what_is_tightened_ends_remembering(before: Switch, after: Switch, reason: str | None) -> None:
    """Asked for more, a method closed, or remembering forbidden; nothing that loosens."""
    assert ends_remembering(before, after) == reason


def test_d1_d4_everybody_is_sorted_by_what_stands_between_them_and_a_code() -> None:
    """An unverified number counts as none; one that the region rule rejects stands apart (D29)."""
    found = sort_out(
        [
            person("ana"),
            person("ben", email_verified=False),
            person("carl", phone=None, phone_verified=False),
            person("dee", phone_verified=False),
            person("eve", phone="+16135550142"),
            person("fay", phone="+19005550142", email_verified=False),
        ],
        regions=("US",),
    )
    names = [[c.name for c in group] for group in (found.unverified, found.without_number, found.refused_number)]
    assert (found.people, names) == (6, [["ben", "fay"], ["carl", "dee"], ["eve", "fay"]])
    assert not found.is_ready


@pytest.mark.parametrize(
    ("verified", "unverified", "said"),
    [
        (14, 0, "All 14 Team Members have a verified email."),
        (12, 2, "12 of 14 Team Members have a verified email."),
        (1, 0, "The one Team Member has a verified email."),
        (0, 1, "The one Team Member has no verified email."),
        (0, 0, "There are no Team Members yet."),
    ],
)
def test_the_email_hint_says_the_true_count(verified: int, unverified: int, said: str) -> None:
    """ux.md S20."""
    members = [person("a")] * verified + [person("b", email_verified=False)] * unverified
    assert words.email_hint(words.TEAM, sort_out(members, regions=("US",))) == said


def test_the_sms_hint_says_what_it_does_to_whom() -> None:
    """S20, D4, D13; and when this installation sends no texts."""
    five = sort_out([person("a", phone=None)] * 5, regions=("US",))
    none = sort_out([person("a")], regions=("US",))
    assert words.sms_hint(TEAM, five, can_send=True).startswith(
        "US numbers only. 5 people without a verified number will be asked for one at their next sign-in."
    )
    assert "Everyone has a verified number." in words.sms_hint(TEAM, none, can_send=True)
    assert "With SMS alone, people without a US number get their code by email instead." in words.sms_hint(
        TEAM, none, can_send=True
    )
    assert "Choosing SMS chooses Email too" in words.sms_hint(INVESTORS, none, can_send=True)
    assert "cannot be sent from here" in words.sms_hint(TEAM, five, can_send=False)


def test_the_error_names_the_methods_that_are_open() -> None:
    """S20: "Choose Email, SMS or both"."""
    assert words.none_chosen(TEAM) == "Choose Email, SMS or both"
    assert words.none_chosen(TEAM.model_copy(update={"methods": ("email", "sms", "totp")})) == (
        "Choose Email, SMS, Authenticator app or several"
    )
    assert words.none_chosen(TEAM.model_copy(update={"methods": ("email",)})) == "Choose Email"
    assert listed(["Email", "SMS", "Authenticator app"]) == "Email, SMS and Authenticator app"


def test_a_method_beyond_the_policy_has_no_box() -> None:
    """D19: "Authenticator app" is there once the policy lists it."""
    found = sort_out([person("a")], regions=("US",))

    def labels(policy: AudiencePolicy) -> list[str]:
        return [b.label for b in words.boxes(words.TEAM, policy, found, ("email",), channels=("email", "sms"))]

    assert labels(TEAM) == ["Email", "SMS"]
    assert labels(TEAM.model_copy(update={"methods": ("email", "sms", "totp")})) == [
        "Email",
        "SMS",
        "Authenticator app",
    ]


def test_a_conflict_names_who_and_when() -> None:
    """S20; with the day when it was not today, and support when it was nobody."""
    standing = Standing(on("email"), 2, "Marcus Bell", NOW)
    assert words.changed_meanwhile(standing, EAST, NOW) == (
        "Marcus changed this at 4:30 PM EST. Check the settings below and save again."
    )
    later = words.changed_meanwhile(standing, EAST, NOW + timedelta(days=1))
    assert later.startswith("Marcus changed this on Nov 22, 2026, 4:30 PM EST.")
    assert words.changed_meanwhile(Standing(OFF, 2, None, NOW), EAST, NOW).startswith("IMS support changed this")
    assert words.last_changed(standing, EAST) == "Last changed by Marcus Bell on Nov 22, 2026, 4:30 PM EST"


def test_the_tabs_mark_the_present_one() -> None:
    """By address or by label."""
    assert tabs("/admin/team") == tabs("Team Members")
    assert [is_current for _, _, is_current in tabs("Details")] == [True, False, False]


def test_a_zone_is_called_as_people_call_it() -> None:
    """The mock's "Eastern Time (EST)"."""
    assert zone_name(EAST, NOW) == "Eastern Time (EST)"
    assert zone_name(EAST, datetime(2026, 7, 1, tzinfo=UTC)) == "Eastern Time (EDT)"
    assert zone_name(ZoneInfo("Europe/Berlin"), NOW) == "Europe/Berlin (CET)"
