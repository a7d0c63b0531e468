"""What happened, in the words of Sign-in activity (ux.md S24): one table. Pure.

Keyed by the event's stored name. An event that concerns a member of an account stands here, or in LEFT_OUT with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Fields = Mapping[str, Any]
#: Which person did it: their name, "support", or "" when it is not said.
By = str

CHANNELS = {"email": "by email", "sms": "by text message", "totp": "from an authenticator app"}
#: What a session's amr says of its second step (sessions/levels.py).
HOW = (
    ({"sms"}, "a code by text message"),
    ({"otp", "mca"}, "a code by email"),
    ({"otp"}, "a code from an authenticator app"),
)


@dataclass(frozen=True)
class Kind:
    """A choice of the filter, and the events below it."""

    key: str
    label: str


SIGN_INS = Kind("sign-in", "Sign-ins")
FAILED = Kind("failed", "Failed sign-ins")
SECURITY = Kind("security", "Passwords, codes and devices")
TEAM = Kind("team", "Team Members and access")
SETTINGS = Kind("settings", "Settings")
EXPORTS = Kind("exports", "Exports of Sensitive Information")
KINDS = (SIGN_INS, FAILED, SECURITY, TEAM, SETTINGS, EXPORTS)


def _signed_in(fields: Fields) -> str:
    if fields.get("raised_from"):
        return "Confirmed with a code" if len(fields.get("amr", [])) > 1 else "Signed in again"
    if str(fields.get("acr", "")).endswith(":remembered"):
        return "Signed in, remembered device"
    how = next((words for methods, words in HOW if methods <= set(fields.get("amr", []))), None)
    return f"Signed in with {how}" if how else "Signed in with a password"


def _ended(fields: Fields) -> str:
    reason = str(fields.get("reason", ""))
    told = {
        "signed_out": "Signed out",
        "signed_out_by_admin": "Signed out by an admin",
        "deactivated": "Signed out: switched inactive",
        "password_changed": "Signed out: password changed",
        "replaced": "Signed out: signed in anew",
        "too_many_sessions": "Signed out: too many sessions",
    }
    return told.get(reason, "Signed out")


def _by(text: str) -> Callable[[Fields, By], str]:
    return lambda _, by: f"{text} by {by}" if by else text


def _plain(text: str) -> Callable[[Fields, By], str]:
    return lambda _, __: text


def _of(words: Callable[[Fields], str]) -> Callable[[Fields, By], str]:
    return lambda fields, _: words(fields)


def _export(text: str) -> Callable[[Fields, By], str]:
    return lambda fields, _: f"{text}: {fields.get('name', '')}"


def _export_over(fields: Fields, _: By) -> str:
    why = {"access_lost": "Export deleted, no access any more", "purged": "Export deleted by support"}
    return f"{why.get(str(fields.get('reason', '')), 'Export expired')}: {fields.get('name', '')}"


def _refused(fields: Fields) -> str:
    told = {"deactivated": "Refused: inactive", "closed": "Refused: the account is closed"}
    return told.get(str(fields.get("reason", "")), "Sign-in refused")


#: event -> (kind, words from its fields and who did it).
WORDS: dict[str, tuple[Kind, Callable[[Fields, By], str]]] = {
    "session.started": (SIGN_INS, _of(_signed_in)),
    "session.ended": (SIGN_INS, _of(_ended)),
    "member.signed_out": (SIGN_INS, _by("Signed out everywhere")),
    "session.everyone_signed_out": (SIGN_INS, _plain("Everyone signed out")),
    "password.wrong": (FAILED, _plain("Wrong password")),
    "code.wrong": (FAILED, _plain("Wrong code")),
    "device_grant.user_code_wrong": (FAILED, _plain("Wrong code of a device")),
    "code.tries_exhausted": (FAILED, _plain("Too many wrong codes, paused")),
    "sign_in.throttled": (FAILED, _plain("Too many tries, paused")),
    "sign_in.refused": (FAILED, _of(_refused)),
    "access.refused": (FAILED, _plain("Asked for something of somebody else")),
    "code.not_delivered": (FAILED, _of(lambda f: f"Code {CHANNELS.get(f.get('channel', ''), '')} not delivered")),
    "password.changed": (SECURITY, _plain("Password changed")),
    "password.reset_requested": (SECURITY, _plain("Password reset asked for")),
    "person.not_me": (SECURITY, _plain("Said “this was not me”")),
    "member.password_link": (SECURITY, _by("Password link sent")),
    "email.verified": (SECURITY, _plain("Email verified")),
    "email.verification_skipped": (SECURITY, _plain("Skipped verifying the email")),
    "phone.added": (SECURITY, _of(lambda f: f"Phone number ending in {f.get('ending', '')} added")),
    "mfa.email_fallback": (SECURITY, _plain("Code by email, without a US number")),
    "device.remembered": (SECURITY, _plain("Device remembered")),
    "device.ended": (SECURITY, _plain("Remembered device ended")),
    "device.all_ended": (SECURITY, _plain("All remembered devices ended")),
    "email.changed": (SECURITY, _plain("Email address changed")),
    "email.change_refused": (SECURITY, _plain("Email address not changed")),
    "email.reminders_sent": (SECURITY, _plain("Reminders to verify the email sent")),
    "link.not_delivered": (SECURITY, _plain("Link by email not delivered")),
    "phone.changed": (SECURITY, _of(lambda f: f"Phone number changed to one ending in {f.get('ending', '')}")),
    "phone.removed": (SECURITY, _of(lambda f: f"Phone number ending in {f.get('ending', '')} removed")),
    "app.added": (SECURITY, _plain("Authenticator app added")),
    "app.removed": (SECURITY, _plain("Authenticator app removed")),
    "recovery_codes.made": (SECURITY, _plain("Recovery codes made")),
    "recovery_code.used": (SECURITY, _plain("Recovery code used")),
    "device_grant.approved": (SECURITY, _plain("Let a device in with a code")),
    "device_grant.denied": (SECURITY, _plain("Refused a device")),
    "consent.granted": (SECURITY, _plain("Allowed a service access")),
    "consent.denied": (SECURITY, _plain("Refused a service access")),
    "member.second_step_reset": (SECURITY, _by("Second step and phone reset")),
    "member.created": (TEAM, _by("Added")),
    "member.changed": (TEAM, _by("Profile changed")),
    "member.role_changed": (TEAM, _by("Role changed")),
    "member.deactivated": (TEAM, _by("Deactivated")),
    "member.reactivated": (TEAM, _by("Reactivated")),
    "invitation.sent": (TEAM, _by("Invited")),
    "invitation.withdrawn": (TEAM, _by("Invitation withdrawn")),
    "invitation.wanted": (TEAM, _plain("Asked for a new invitation")),
    "invitation.accepted": (TEAM, _plain("Invitation accepted")),
    "data_access.requested": (TEAM, _plain("Data Access requested by support")),
    "data_access.granted": (TEAM, _by("Data Access granted")),
    "data_access.removed": (TEAM, _by("Data Access removed")),
    "account.changed": (SETTINGS, _plain("Account settings changed by support")),
    "account.closed": (SETTINGS, _plain("Account closed by support")),
    "account.reopened": (SETTINGS, _plain("Account reopened by support")),
    "mfa.turned_on": (SETTINGS, _plain("Multi-Factor Authentication turned on")),
    "mfa.turned_off": (SETTINGS, _plain("Multi-Factor Authentication turned off")),
    "mfa.changed": (SETTINGS, _plain("Multi-Factor Authentication changed")),
    "export.requested": (EXPORTS, _export("Export asked for")),
    "export.refused": (EXPORTS, _export("Export refused")),
    "export.ready": (EXPORTS, _export("Export ready")),
    "export.failed": (EXPORTS, _export("Export failed")),
    "export.downloaded": (EXPORTS, _export("Export downloaded")),
    "export.expired": (EXPORTS, _export_over),
}

#: Of the person, not of one account: shown in every account they are active in. The rows carry no account.
PERSONAL = frozenset(
    {
        *("password.wrong", "password.changed", "sign_in.throttled", "email.verified", "email.changed"),
        *("phone.changed", "phone.removed", "app.added", "app.removed", "recovery_codes.made", "recovery_code.used"),
        *("password.reset_requested", "person.not_me"),
    }
)

#: Steps of what is shown, and what happens between programs.
LEFT_OUT = frozenset(
    {
        *("account.created", "password.rehashed", "code.requested", "code.sent", "code.accepted", "device.used"),
        *("email.change_begun", "email.change_cancelled", "link.sent"),
        *("authorization.code_issued", "authorization.refused", "token.issued", "token.refreshed"),
        *("token.code_reused", "token.refresh_reused", "token.family_revoked", "token.revoked"),
        *("device_grant.code_reused", "logout.sent", "logout.failed", "export.started", "export.file_deleted"),
    }
)


def describe(name: str, fields: Fields, by: By) -> str:
    """One event in words."""
    return WORDS[name][1](fields, by)


def names_of(kind: str) -> frozenset[str]:
    """The events that a filter shows; all of them for a kind that there is not."""
    found = frozenset(name for name, (of, _) in WORDS.items() if of.key == kind)
    return found or frozenset(WORDS)
