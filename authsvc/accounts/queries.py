"""Looking people and accounts up."""

from __future__ import annotations

import unicodedata

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from authsvc.accounts.models import Account, EmailAddress, User


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


def account_by_slug(tx: Session, slug: str) -> Account | None:
    """The account with this slug; whatever text a link may hold."""
    if not slug.isprintable():
        return None
    return tx.scalars(select(Account).where(Account.slug == slug)).one_or_none()
