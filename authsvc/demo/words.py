"""What the claims say, in words a person would use (the levels: authsvc/sessions/levels.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from authsvc.web.text import full_time

LEVELS = {
    "urn:ims:acr:password": "Password",
    "urn:ims:acr:remembered": "Password",
    "urn:ims:acr:two-step": "Password and an emailed code",
    "urn:ims:acr:two-factor": "Password and a second factor",
}
#: `mfa` and `mca` sum up the others (RFC 8176 2), so they are shown as they are and not put in words.
METHODS = {"pwd": "a password", "otp": "a one-time code", "sms": "a text message"}


@dataclass(frozen=True)
class Said:
    """One line: what it is, in words, and the claim itself."""

    label: str
    words: str
    claim: str = ""


def lines(
    claims: Mapping[str, Any], person: Mapping[str, Any], *, account: str, now: datetime, fallback_zone: str
) -> list[Said]:
    """The sign-in, line by line. A claim that is absent is said to be absent, and nothing is made of it."""
    zone = _zone(person.get("zoneinfo"), fallback_zone)
    shown = claims.get("amr") or []
    at = _instant(claims.get("auth_time"))
    portal = {"team": "team", "investors": "investor"}.get(claims.get("account", {}).get("audience", ""), "")
    acr = str(claims.get("acr", ""))
    return [
        Said("Person", str(person.get("name", "")), str(person.get("email", ""))),
        Said("Account", f"{account} ({portal})" if portal else account),
        Said("Sign-in", _level(acr, shown, ago=_ago(at, now) if at else ""), f"acr {acr}"),
        Said("Proofs", _listed([METHODS[name] for name in shown if name in METHODS]), f"amr {' '.join(shown)}"),
        Said(
            "Last proof",
            full_time(at, zone) if at else "The token does not say",
            f"auth_time {claims.get('auth_time', '')}",
        ),
        _device(claims.get("remembered_device"), zone),
    ]


def _device(claim: Any, zone: ZoneInfo) -> Said:
    until = _instant(claim.get("exp")) if isinstance(claim, dict) else None
    if until is None:
        return Said("Remember Me", "Not part of this sign-in", "no remembered_device claim")
    passed = _instant(claim.get("mfa_at"))
    how = "a text message" if "sms" in claim.get("mfa_amr", []) else "an emailed code"
    if claim.get("state") == "used":
        when = f" on {full_time(passed, zone)}" if passed else ""
        words = f"In use: {how} was entered on this device{when}. No code is asked until {full_time(until, zone)}."
    else:
        words = f"Set in this sign-in. No code is asked on this device until {full_time(until, zone)}."
    return Said("Remember Me", words, f"remembered_device {claim.get('state', '')}")


def _level(acr: str, shown: list[str], *, ago: str) -> str:
    words = LEVELS.get(acr, acr or "Not said")
    if acr == "urn:ims:acr:two-factor" and "sms" in shown:
        words = "Password and a text message"
    words = f"{words}, {ago}" if ago else words
    return words + (
        ". The code was skipped, because this device is remembered." if acr == "urn:ims:acr:remembered" else ""
    )


def _ago(at: datetime, now: datetime) -> str:
    minutes = max(timedelta(0), now - at) // timedelta(minutes=1)
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes} minute{'s' if minutes > 1 else ''} ago"
    hours = minutes // 60
    return f"{hours} hour{'s' if hours > 1 else ''} ago"


def _listed(parts: list[str]) -> str:
    text = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts) or "nothing"
    return text[:1].upper() + text[1:]


def _instant(value: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(value, UTC) if type(value) is int else None
    except (OverflowError, ValueError, OSError):
        return None


def _zone(name: Any, fallback: str) -> ZoneInfo:
    try:
        return ZoneInfo(name if isinstance(name, str) else fallback)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo(fallback)
