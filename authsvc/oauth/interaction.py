"""Does this browser's session answer this authorization request, or what must be asked first? Pure, but for the clock's value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from authsvc.sessions import levels


class Reason(StrEnum):
    """Why the person must be asked, or cannot be."""

    NOT_SIGNED_IN = "not_signed_in"
    OTHER_PERSON = "other_person"
    OTHER_ACCOUNT = "other_account"
    ACCOUNT_WANTED = "account_wanted"
    PASSWORD_WANTED = "password_wanted"
    MORE_WANTED = "more_wanted"
    OUT_OF_REACH = "out_of_reach"
    CONSENT_WANTED = "consent_wanted"


#: The reasons that no sign-in mends: answered with their error at once.
FINAL = frozenset({Reason.OUT_OF_REACH})


@dataclass(frozen=True)
class Wish:
    """What the client asks of the sign-in.

    acr: the first of the values it would like that this person can meet. needs: the least that will do; `reachable` says
    whether this person can show as much. sub: the one person who will do, by the name that the client knows.
    """

    prompt: frozenset[str]
    max_age: timedelta | None
    acr: str | None
    account_slug: str | None
    needs: str | None = None
    reachable: bool = True
    sub: str | None = None


@dataclass(frozen=True)
class SignedIn:
    """What the browser's session has shown; `acr` is the effective one, `sub` what this client calls the person."""

    account_slug: str
    acr: str
    auth_time: datetime
    password_at: datetime
    sub: str = ""


@dataclass(frozen=True)
class Before:
    """What was done for this request already: when it was first parked, and when a sign-in for it was finished."""

    parked_at: datetime
    signed_in_at: datetime | None


@dataclass(frozen=True)
class Ask:
    """The person must go through sign-in or consent first. `wire_error`: what is answered where that cannot be (Core 3.1.2.6)."""

    reason: Reason
    wire_error: str


def what_to_ask(
    wish: Wish, session: SignedIn | None, *, before: Before | None, now: datetime, agreed: bool = True
) -> Ask | None:
    """Why to ask, or None when the session will do.

    `before`: when the person comes back from signing in. What they then have shown since is what they can show: a voluntary
    acr may be answered lower, with the true one (claims.md), and `prompt=login` has been done once it was done
    (libraries.md 1.2). What the client cannot do without is asked again while it can be reached, and then refused.
    `agreed`: the person lets this client have what it asks for.
    """
    if session is None:
        return Ask(Reason.NOT_SIGNED_IN, "login_required")
    typed_since = before is not None and session.password_at >= before.parked_at
    shown_since = before is not None and session.auth_time >= before.parked_at
    if wish.sub is not None and wish.sub != session.sub:
        # Core 3.1.2.2: another person's sign-in is no positive response; asked once, for they may have meant to change.
        return Ask(Reason.OUT_OF_REACH if typed_since else Reason.OTHER_PERSON, "login_required")
    if wish.account_slug is not None and wish.account_slug != session.account_slug:
        return Ask(Reason.OTHER_ACCOUNT, "account_selection_required")
    if "login" in wish.prompt and not typed_since:
        return Ask(Reason.PASSWORD_WANTED, "login_required")
    if wish.max_age is not None and now - session.auth_time > wish.max_age and not typed_since:
        return Ask(Reason.PASSWORD_WANTED, "login_required")
    if "select_account" in wish.prompt and (before is None or before.signed_in_at is None):
        return Ask(Reason.ACCOUNT_WANTED, "account_selection_required")
    if wish.needs is not None and not levels.at_least(session.acr, wish.needs):
        if not wish.reachable:
            return Ask(Reason.OUT_OF_REACH, "unmet_authentication_requirements")
        return Ask(Reason.MORE_WANTED, "login_required")
    if wish.acr is not None and not levels.at_least(session.acr, wish.acr) and not shown_since:
        return Ask(Reason.MORE_WANTED, "login_required")
    return None if agreed else Ask(Reason.CONSENT_WANTED, "consent_required")
