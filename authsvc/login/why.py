"""Why a code is asked for now, in one calm sentence (shown on S3 and S4). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

#: The sentence for each reason that raises a membership's epoch or ends one device (domain D6).
CHANGES = {
    "password_changed": "Your password has changed since your last code here.",
    "password_reset": "Your password has changed since your last code here.",
    "email_changed": "Your email address has changed since your last code here.",
    "phone_added": "Your phone number has changed since your last code here.",
    "phone_changed": "Your phone number has changed since your last code here.",
    "phone_removed": "Your phone number has changed since your last code here.",
    "app_changed": "Your authenticator app has changed since your last code here.",
    "mfa_policy_changed": "{account} has changed how it asks for codes.",
    "mfa_reset": "Your sign-in codes were reset by an account admin.",
    "sensitive_data_access_granted": "You have been given Sensitive Data Access since your last code here.",
    "forgotten": "This browser was removed from your remembered devices.",
    "old_generation": "We couldn’t be sure that this is still the browser you asked us to remember.",
    "key_withdrawn": "For safety, {account} asks everyone for a code again.",
    "restored_from_backup": "For safety, {account} asks everyone for a code again.",
}
SOMETHING = "Something about your sign-in has changed since your last code here."


@dataclass(frozen=True)
class Memory:
    """What is known of the remembered device that the browser's cookie names. `changed`: what raised the epoch since."""

    remembered_at: datetime
    expires_at: datetime
    ended_reason: str | None = None
    voided: bool = False
    changed: str | None = None


@dataclass(frozen=True)
class Situation:
    """Who asks, and at which browser.

    client: the service that wants a code now. confirms: a sensitive change waits. own_choice: the account asks for nothing,
    the person set an app up. may_remember: a browser can be remembered here at all. browser_known: signed in here before.
    """

    account: str
    now: datetime
    client: str | None = None
    confirms: bool = False
    own_choice: bool = False
    may_remember: bool = True
    browser_known: bool = False
    memory: Memory | None = None


def why_a_code(here: Situation) -> str:
    """The sentence. What the person is doing comes first, then what became of this browser's memory, then the rule."""
    if here.client is not None:
        return f"{here.client} asks for a code before you go on."
    if here.confirms:
        return "We ask for a code before a sensitive change."
    if here.may_remember and (of_memory := _of_memory(here)) is not None:
        return of_memory
    if here.own_choice:
        return "You set up an authenticator app, so we ask for its code."
    if not here.may_remember:
        return f"{here.account} asks for a code at every sign-in."
    if not here.browser_known:
        return "You haven’t signed in on this browser before."
    return f"This browser isn’t remembered, so {here.account} asks for a code."


def _of_memory(here: Situation) -> str | None:
    memory = here.memory
    if memory is None or memory.ended_reason == "replaced":
        return None
    if memory.ended_reason is not None:
        return CHANGES.get(memory.ended_reason, SOMETHING).format(account=here.account)
    if memory.voided:
        return CHANGES.get(memory.changed or "", SOMETHING).format(account=here.account)
    if memory.expires_at <= here.now:
        return (
            f"It has been {(memory.expires_at - memory.remembered_at).days} days since your last code on this browser."
        )
    return None
