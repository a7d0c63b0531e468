"""What the Multi-Factor Authentication section says (ux.md S20). Pure: counts go in, sentences come out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from authsvc.account_settings.mfa_switch import LABELS, Standing, listed
from authsvc.mfa.readiness import Candidate, Readiness
from authsvc.mfa.switch import Change
from authsvc.policy.schema import AudiencePolicy
from authsvc.web.text import clock_time, full_time

#: How many people are named before "See all".
NAMED = 10


@dataclass(frozen=True)
class Audience:
    """How a page speaks of those whom its switch binds."""

    key: str
    one: str
    many: str

    def count(self, number: int) -> str:
        """ "2 Team Members"."""
        return f"{number} {self.one if number == 1 else self.many}"


TEAM = Audience("team", "Team Member", "Team Members")
INVESTORS = Audience("investors", "investor", "investors")


@dataclass(frozen=True)
class People:
    """Somebody's names under a hint, the first few; `more`: how many are not named."""

    summary: str
    named: tuple[Candidate, ...]
    more: int


@dataclass(frozen=True)
class MethodBox:
    """One checkbox of "Send codes by"."""

    value: str
    label: str
    hint: str
    checked: bool
    implies: str | None
    people: tuple[People, ...]


def boxes(
    audience: Audience,
    policy: AudiencePolicy,
    found: Readiness,
    chosen: Collection[str],
    *,
    channels: Collection[str],
) -> list[MethodBox]:
    """The methods that the policy offers, with what each would do to whom."""
    return [
        MethodBox(
            method,
            LABELS[method],
            _hint(method, audience, policy, found, channels),
            checked=method in chosen,
            implies=policy.sms_implies if method == "sms" else None,
            people=_whom(found) if method == "sms" else (),
        )
        for method in policy.methods
    ]


def _hint(method: str, audience: Audience, policy: AudiencePolicy, found: Readiness, channels: Collection[str]) -> str:
    if method == "email":
        return email_hint(audience, found)
    if method == "sms":
        return sms_hint(policy, found, can_send="sms" in channels)
    return (
        "Offered to each person who has set one up in My Profile. As the only choice, it is set up at the next sign-in."
    )


def email_hint(audience: Audience, found: Readiness) -> str:
    """ "All 14 Team Members have a verified email."."""
    verified = found.people - len(found.unverified)
    if found.people == 0:
        return f"There are no {audience.many} yet."
    if found.people == 1:
        return f"The one {audience.one} has {'a verified' if verified else 'no verified'} email."
    if verified == found.people:
        return f"All {audience.count(found.people)} have a verified email."
    return f"{verified} of {audience.count(found.people)} have a verified email."


def sms_hint(policy: AudiencePolicy, found: Readiness, *, can_send: bool) -> str:
    """Who is asked for a number, whose number is rejected, and what happens to people without one (domain D4, D13)."""
    said = ["US numbers only."]
    if not can_send:
        said = ["Text messages cannot be sent from here at present, so codes go by email."]
    elif (without := len(found.without_number)) == 1:
        said.append("1 person without a verified number will be asked for one at their next sign-in.")
    elif without:
        said.append(f"{without} people without a verified number will be asked for one at their next sign-in.")
    elif found.people and not found.refused_number:
        said.append("Everyone has a verified number.")
    if found.refused_number:
        refused = len(found.refused_number)
        said.append(f"{'1 person has' if refused == 1 else f'{refused} people have'} a number we can’t text.")
    if policy.sms_implies:
        said.append("Choosing SMS chooses Email too: everyone starts with an emailed code.")
    else:
        said.append("With SMS alone, people without a US number get their code by email instead.")
    return " ".join(said)


def _whom(found: Readiness) -> tuple[People, ...]:
    groups = (
        ("Without a verified number", found.without_number),
        ("With a number we can’t text", found.refused_number),
    )
    return tuple(People(summary, *first(members)) for summary, members in groups if members)


def first(members: Sequence[Candidate]) -> tuple[tuple[Candidate, ...], int]:
    """Those who are named, and how many are not."""
    return tuple(members[:NAMED]), max(0, len(members) - NAMED)


def none_chosen(policy: AudiencePolicy) -> str:
    """ "Choose Email, SMS or both"."""
    labels = [LABELS[method] for method in policy.methods]
    if len(labels) == 1:
        return f"Choose {labels[0]}"
    return f"Choose {', '.join(labels)} or {'both' if len(labels) == 2 else 'several'}"


def how_many(policy: AudiencePolicy) -> str:
    """ "Choose one or both. With both, each person picks when they sign in."."""
    if len(policy.methods) == 1:
        return "One way is open on this installation."
    several = "both" if len(policy.methods) == 2 else "several"
    return f"Choose one or {several}. With {several}, each person picks when they sign in."


def must_verify(audience: Audience, unverified: int) -> str:
    """The amber note's first sentence."""
    return f"{audience.count(unverified)} must verify their email before you can turn this on."


def not_ready(audience: Audience, found: Readiness) -> str:
    """ "2 Team Members haven’t verified their email: Priya Raman, Theo Lindqvist."."""
    named, more = first(found.unverified)
    names = ", ".join(member.name for member in named) + (f" and {more} more" if more else "")
    have = "hasn’t" if len(found.unverified) == 1 else "haven’t"
    return f"{audience.count(len(found.unverified))} {have} verified their email: {names}."


def remind_all(unverified: int) -> str | None:
    """The one button for all of them; none for one person, who has a button already."""
    if unverified < 2:
        return None
    return f"Email {'both' if unverified == 2 else f'all {unverified}'} a verification link"


def last_changed(standing: Standing, zone: ZoneInfo) -> str:
    """Left of Save: "Last changed by Dana Whitfield on Oct 9, 2026, 2:14 PM EDT"."""
    if standing.changed_by and standing.changed_at:
        return f"Last changed by {standing.changed_by} on {full_time(standing.changed_at, zone)}"
    return f"Multi-Factor Authentication is {'on' if standing.switch.enabled else 'off'}."


def changed_meanwhile(standing: Standing, zone: ZoneInfo, now: datetime) -> str:
    """ "Marcus changed this at 4:30 PM EST. Check the settings below and save again."."""
    who = standing.changed_by.split()[0] if standing.changed_by and standing.changed_by.split() else "IMS support"
    at = standing.changed_at or now
    today = at.astimezone(zone).date() == now.astimezone(zone).date()
    when = f"at {clock_time(at, zone)}" if today else f"on {full_time(at, zone)}"
    return f"{who} changed this {when}. Check the settings below and save again."


def in_words(standing: Standing) -> str:
    """The switch as a sentence: "On, by Email and SMS"."""
    labels = [LABELS[method] for method in LABELS if method in standing.switch.methods]
    return f"On, by {listed(labels)}" if standing.switch.enabled else "Off"


def saved(audience: Audience, change: Change) -> str:
    """The green note after Save."""
    who = audience.many[0].upper() + audience.many[1:]
    return {
        Change.TURNED_ON: f"Saved. {who} will be asked for a code at their next sign-in.",
        Change.TURNED_OFF: f"Saved. {who} will sign in with only a password.",
        Change.CHANGED: "Saved. It counts from each person’s next sign-in.",
        Change.NOTHING: "There was nothing to change.",
    }[change]
