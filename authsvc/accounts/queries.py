"""Looking people and accounts up."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from authsvc.accounts.models import Account, Audience, EmailAddress, Membership, User


def canonical_email(typed: str) -> str:
    """The one spelling under which an address is looked up and its tries are counted (security.md LG-03, RC-05)."""
    return unicodedata.normalize("NFKC", typed.strip()).casefold()


def user_by_email(tx: Session, typed: str) -> User | None:
    """The person with this address, with their memberships and accounts loaded."""
    if not typed.strip().isprintable():
        return None  # PostgreSQL takes no NUL in a text, and no address of ours holds a control character
    return (
        tx.scalars(
            select(User)
            .join(EmailAddress)
            .where(EmailAddress.canonical == canonical_email(typed))
            .options(selectinload(User.memberships))
        )
        .unique()
        .one_or_none()
    )


@dataclass(frozen=True)
class Credentials:
    """Of the person with an address: what a password is compared with, and the accounts they are in."""

    user_id: str
    password_hash: str | None
    password_changed_at: datetime | None
    account_ids: tuple[str, ...]


def credentials_of(tx: Session, typed: str) -> Credentials | None:
    """Whose password it would be. One statement, whoever it is and also when it is nobody (security.md LG-02)."""
    if not typed.strip().isprintable():
        return None
    rows = tx.execute(
        select(User.id, User.password_hash, User.password_changed_at, Membership.account_id)
        .join(EmailAddress, EmailAddress.user_id == User.id)
        .outerjoin(Membership, Membership.user_id == User.id)
        .where(EmailAddress.canonical == canonical_email(typed))
    ).all()
    if not rows:
        return None
    accounts = tuple(sorted({row.account_id for row in rows if row.account_id is not None}))
    return Credentials(rows[0].id, rows[0].password_hash, rows[0].password_changed_at, accounts)


def account_by_slug(tx: Session, slug: str) -> Account | None:
    """The account with this slug; whatever text a link may hold."""
    if not slug.isprintable():
        return None
    return tx.scalars(select(Account).where(Account.slug == slug)).one_or_none()


def count_members(tx: Session, account_id: str) -> int:
    """How many people may enter this account, of either audience; one at least."""
    found = tx.scalar(
        select(func.count()).where(
            Membership.account_id == account_id,
            Membership.accepted_at.is_not(None),
            Membership.deactivated_at.is_(None),
        )
    )
    return found or 1


def lock_account(tx: Session, account_id: str) -> None:
    """Wait for, and hold until the transaction ends, the right to change who is in this account and what it asks of them.

    Whoever switches Multi-Factor Authentication, and whoever makes a member active (accepts, adds, reactivates) or leaves
    an active one with an unverified address, holds it; so the check that everybody is verified and the switch are one act
    (security.md TN-06). Verifying an address and inviting need no lock: they never turn a yes into a no.

    Take it before every other row of the transaction (memberships, people, sessions), or two who wait for each other
    deadlock; and read what you decide by after it. What is pending in `tx` is written after it too. PostgreSQL: a row lock
    that lets others add rows which refer to the account. SQLite: a writing transaction is alone anyway.
    """
    with tx.no_autoflush:
        tx.execute(select(Account.id).where(Account.id == account_id).with_for_update(key_share=True))


def lock_accounts_of(tx: Session, user_id: str) -> None:
    """`lock_account` for every account of a person, always in the same order: for a change of their address."""
    theirs = select(Membership.account_id).where(Membership.user_id == user_id)
    with tx.no_autoflush:
        tx.execute(
            select(Account.id).where(Account.id.in_(theirs)).order_by(Account.id).with_for_update(key_share=True)
        )


def data_access_holders(tx: Session, account_id: str) -> list[Membership]:
    """The Team Members who have Sensitive Data Access in this account now."""
    return list(
        tx.scalars(
            select(Membership)
            .where(
                Membership.account_id == account_id,
                Membership.audience == Audience.TEAM,
                Membership.sensitive_data_access,
                Membership.accepted_at.is_not(None),
                Membership.deactivated_at.is_(None),
            )
            .order_by(Membership.user_id)
        )
    )
