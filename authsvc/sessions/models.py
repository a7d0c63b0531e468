"""Tables: who is signed in on which browser, and which requests wait for a sign-in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from authsvc.accounts.models import Membership, User
from authsvc.db.base import Base, Digest, Id


class BrowserSession(Base):
    """A signed-in browser. `id` is the sid of tokens and stays; the secret in the cookie changes at every rise."""

    __tablename__ = "browser_session"
    __table_args__ = (Index(None, "user_id"), Index(None, "membership_id"), Index(None, "expires_at"))

    id: Mapped[Id] = mapped_column(primary_key=True)
    secret_digest: Mapped[Digest] = mapped_column(unique=True)
    user_id: Mapped[Id] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"))
    membership_id: Mapped[Id] = mapped_column(ForeignKey("membership.id", ondelete="CASCADE"))
    acr: Mapped[str] = mapped_column(String(60))
    amr: Mapped[list[str]]
    auth_time: Mapped[datetime]
    #: When the password itself was last typed; a step-up moves auth_time and leaves this.
    password_at: Mapped[datetime]
    #: When a code was last entered in this session; None: never. A fresh one is asked for before sensitive changes.
    code_at: Mapped[datetime | None]
    #: The remember-device claim, if this sign-in used or enrolled a device: state, mfa_at, mfa_amr, exp (claims.md).
    device_id: Mapped[str | None] = mapped_column(String(64))
    remembered: Mapped[dict[str, Any] | None]
    browser: Mapped[str] = mapped_column(String(60))
    #: Where it was seen last.
    remote_address: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    ended_reason: Mapped[str | None] = mapped_column(String(40))

    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)
    membership: Mapped[Membership] = relationship(lazy="joined", innerjoin=True)


class SignInRequest(Base):
    """Something that waits until a person has signed in: an authorization request, parked. Bound to one browser (LG-11).

    The columns are what the sign-in pages need to know; `params` belongs to whoever parked it.
    """

    __tablename__ = "sign_in_request"
    __table_args__ = (Index(None, "expires_at"),)

    id: Mapped[Id] = mapped_column(primary_key=True)
    browser_digest: Mapped[Digest]
    continue_to: Mapped[str] = mapped_column(String(300))
    account_slug: Mapped[str | None] = mapped_column(String(63))
    login_hint: Mapped[str | None] = mapped_column(String(320))
    #: Lowest acr that will do, or None; the account may ask for more, nothing for less.
    wanted_acr: Mapped[str | None] = mapped_column(String(60))
    client_id: Mapped[str | None] = mapped_column(String(64))
    client_name: Mapped[str | None] = mapped_column(String(200))
    #: The one foreign origin at which this sign-in may end; goes into the pages' form-action.
    portal_origin: Mapped[str | None] = mapped_column(String(300))
    #: The password must have been typed after this instant (prompt=login, max_age).
    password_after: Mapped[datetime | None]
    #: The person must choose the account to enter, whichever they are in (prompt=select_account).
    choose_account: Mapped[bool] = mapped_column(default=False)
    #: When a sign-in for this request was finished.
    signed_in_at: Mapped[datetime | None]
    params: Mapped[dict[str, Any]]
    #: When it was answered. A moment later it may be answered again (a double press); then it leads to the portal.
    answered_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class KnownBrowser(Base):
    """A browser at which a person has signed in before (domain D31): it proves nothing and skips nothing."""

    __tablename__ = "known_browser"
    __table_args__ = (Index(None, "last_seen_at"),)

    user_id: Mapped[Id] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"), primary_key=True)
    browser_digest: Mapped[Digest] = mapped_column(primary_key=True)
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
