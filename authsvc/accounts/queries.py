"""Looking people and accounts up."""

from __future__ import annotations

import unicodedata

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from authsvc.accounts.models import Account, EmailAddress, Membership, User


def canonical_email(typed: str) -> str:
    """The one spelling under which an address is looked up and its tries are counted (security.md LG-03, RC-05)."""
    return unicodedata.normalize("NFKC", typed.strip()).casefold()


def user_by_email(tx: Session, typed: str) -> User | None:
    """The person with this address, with their memberships and accounts loaded."""
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


def user_by_id(tx: Session, user_id: str) -> User | None:
    """The person, with address and phone."""
    return tx.get(User, user_id)


def account_by_slug(tx: Session, slug: str) -> Account | None:
    """The account with this slug."""
    return tx.scalars(select(Account).where(Account.slug == slug)).one_or_none()


def membership(tx: Session, membership_id: str) -> Membership | None:
    """The membership with its account and the account's switches."""
    return tx.get(Membership, membership_id)
