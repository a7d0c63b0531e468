"""Does this browser's session answer this authorization request, or what must be asked first? Pure, but for the clock's value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from authsvc.sessions import levels


class Reason(StrEnum):
    """Why the person must be asked."""

    NOT_SIGNED_IN = "not_signed_in"
    OTHER_ACCOUNT = "other_account"
    PASSWORD_WANTED = "password_wanted"
    MORE_WANTED = "more_wanted"


@dataclass(frozen=True)
class Wish:
    """What the client asks of the sign-in. `acr`: the first of its acr_values that this person can meet."""

    prompt: frozenset[str]
    max_age: timedelta | None
    acr: str | None
    account_slug: str | None


@dataclass(frozen=True)
class SignedIn:
    """What the browser's session has shown; `acr` is the effective one."""

    account_slug: str
    acr: str
    auth_time: datetime
    password_at: datetime


@dataclass(frozen=True)
class Ask:
    """The person must go through sign-in first. `wire_error`: what prompt=none answers instead (Core 3.1.2.6)."""

    reason: Reason
    wire_error: str


def what_to_ask(wish: Wish, session: SignedIn | None, *, parked_at: datetime | None, now: datetime) -> Ask | None:
    """Why to ask, or None when the session will do.

    `parked_at`: when this request was parked, if the person comes back from signing in. What they then have shown since
    is what they can show: a voluntary acr may be answered lower, with the true one (claims.md), and `prompt=login` has
    been done once it was done (libraries.md 1.2).
    """
    if session is None:
        return Ask(Reason.NOT_SIGNED_IN, "login_required")
    if wish.account_slug is not None and wish.account_slug != session.account_slug:
        return Ask(Reason.OTHER_ACCOUNT, "account_selection_required")
    typed_since = parked_at is not None and session.password_at >= parked_at
    shown_since = parked_at is not None and session.auth_time >= parked_at
    if "login" in wish.prompt and not typed_since:
        return Ask(Reason.PASSWORD_WANTED, "login_required")
    if wish.max_age is not None and now - session.auth_time > wish.max_age and not typed_since:
        return Ask(Reason.PASSWORD_WANTED, "login_required")
    if wish.acr is not None and not levels.at_least(session.acr, wish.acr) and not shown_since:
        return Ask(Reason.MORE_WANTED, "login_required")
    return None
