"""What a sign-in needs next: the one ordered decision (architecture 2.3)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from authsvc.messaging.message import Channel
from authsvc.mfa.rules import RECOVERY, Method, MfaRules


@dataclass(frozen=True)
class AskPassword:
    """Nothing is proved yet."""


@dataclass(frozen=True)
class ChooseAccount:
    """The person belongs to several accounts and has chosen none (domain D14)."""


@dataclass(frozen=True)
class VerifyEmail:
    """The address was never proved; `skippable` while no code is required (domain D17)."""

    skippable: bool


@dataclass(frozen=True)
class ChooseMethod:
    """More than one method is open."""

    methods: tuple[Method, ...]


@dataclass(frozen=True)
class EnrolPhone:
    """A text was chosen and there is no number yet."""


@dataclass(frozen=True)
class EnterCode:
    """A code is out, or goes out now."""

    channel: Channel
    #: sign_in, or enrol_phone: the code that proves a new number also completes the sign-in (ux.md S5).
    purpose: str


@dataclass(frozen=True)
class EnrolApp:
    """The account asks for an authenticator app and nothing else, and this person has none yet."""


@dataclass(frozen=True)
class EnterAppCode:
    """The code that the person's own app shows; nothing is sent."""


@dataclass(frozen=True)
class SignIn:
    """Everything required was shown."""


Step = (
    AskPassword | ChooseAccount | VerifyEmail | ChooseMethod | EnrolPhone | EnterCode | EnrolApp | EnterAppCode | SignIn
)


@dataclass(frozen=True)
class Progress:
    """What this sign-in has shown and chosen so far."""

    proofs: frozenset[str]
    method: str | None = None
    skipped_verification: bool = False
    pending_phone: bool = False


@dataclass(frozen=True)
class Known:
    """What is known of the person."""

    email_verified: bool
    phone_usable: bool
    app_ready: bool = False


def next_step(progress: Progress, person: Known | None, rules: MfaRules | None, *, device_recognised: bool) -> Step:
    """Say what this sign-in needs next. Pure: no I/O and no clock; the only place where the order is decided.

    `person` None: unknown or not yet proved. `rules` None: several memberships, none chosen yet.
    """
    if person is None or "pwd" not in progress.proofs:
        return AskPassword()
    if rules is None:
        return ChooseAccount()
    if not person.email_verified and (rules.code_required or not progress.skipped_verification):
        return VerifyEmail(skippable=not rules.code_required)
    if not rules.code_required or (device_recognised and rules.may_skip_code):
        return SignIn()
    method = _chosen(progress.method, rules.methods)
    if method is None:
        # Also for who has just verified their address (domain J2): choosing email, they have shown it already.
        return ChooseMethod(rules.methods)
    if rules.met_by(progress.proofs & {method, RECOVERY}):
        return SignIn()
    return _ask_for(method, progress, person)


def _chosen(method: str | None, open_methods: Collection[Method]) -> Method | None:
    """The chosen method while it is still open (security.md MF-12); the only one when there is no choice."""
    if len(open_methods) == 1:
        return next(iter(open_methods))
    return next((candidate for candidate in open_methods if candidate == method), None)


def _ask_for(method: Method, progress: Progress, person: Known) -> Step:
    if method == "totp" and person.app_ready:
        return EnterAppCode()
    if method == "email" or (method == "sms" and person.phone_usable):
        return EnterCode(method, "sign_in")
    # A stolen password must not bind the thief's phone or app: first a code to the address (domain D2, security.md SR5).
    if "email" not in progress.proofs:
        return EnterCode("email", "sign_in")
    if method == "totp":
        return EnrolApp()
    return EnterCode("sms", "enrol_phone") if progress.pending_phone else EnrolPhone()
