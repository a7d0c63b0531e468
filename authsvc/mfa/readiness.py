"""The pre-flight of the account's switch: who would be locked out, and what each method would do to whom (domain D1, D4)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from authsvc.accounts.models import EmailAddress, Membership, PhoneNumber, User
from authsvc.accounts.phone import Parsed, parse


@dataclass(frozen=True)
class Candidate:
    """An active, accepted member, as far as codes can reach them. `phone`: their number, whatever it is worth."""

    membership_id: str
    name: str
    email: str
    email_verified: bool
    phone: str | None = None
    phone_verified: bool = False


@dataclass(frozen=True)
class Readiness:
    """Everybody of one audience, sorted by what stands between them and a code.

    unverified: they block the switch (RN-MFA: all must verify first). without_number: asked for one at their next sign-in,
    when text messages are chosen. refused_number: the region rule rejects theirs; with text messages alone they fall back
    to email.
    """

    people: int
    unverified: tuple[Candidate, ...]
    without_number: tuple[Candidate, ...]
    refused_number: tuple[Candidate, ...]

    @property
    def is_ready(self) -> bool:
        """Whether the switch may be turned on."""
        return not self.unverified


def sort_out(members: Iterable[Candidate], *, regions: Collection[str]) -> Readiness:
    """Judge each member by the rules that their next sign-in will be judged by."""
    everybody = tuple(members)
    without, refused = [], []
    for member in everybody:
        if member.phone is not None and not isinstance(parse(member.phone, regions=regions), Parsed):
            refused.append(member)
        elif member.phone is None or not member.phone_verified:
            without.append(member)
    unverified = tuple(member for member in everybody if not member.email_verified)
    return Readiness(len(everybody), unverified, tuple(without), tuple(refused))


def readiness(tx: Session, account_id: str, audience: str, *, regions: Collection[str]) -> Readiness:
    """The pre-flight of one account and audience, by name. One statement.

    People who are inactive, or invited and not accepted, are not in it: they verify at their first sign-in (D1).
    """
    rows = tx.execute(
        select(
            Membership.id,
            User.name,
            EmailAddress.address,
            EmailAddress.verified_at.is_not(None),
            PhoneNumber.e164,
            PhoneNumber.verified_at.is_not(None),
        )
        .join(User, User.id == Membership.user_id)
        .join(EmailAddress, EmailAddress.user_id == User.id)
        .outerjoin(PhoneNumber, PhoneNumber.user_id == User.id)
        .where(
            Membership.account_id == account_id,
            Membership.audience == audience,
            Membership.accepted_at.is_not(None),
            Membership.deactivated_at.is_(None),
        )
        .order_by(User.name, Membership.id)
    )
    return sort_out((Candidate(*row) for row in rows), regions=regions)
