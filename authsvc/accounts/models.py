"""Tables: who exists, in which account, reachable how."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from authsvc.db.base import Base, Digest, Id


class Audience(StrEnum):
    """Which portal a membership is for; each has its own Multi-Factor Authentication switch (domain M10)."""

    TEAM = "team"
    INVESTORS = "investors"


class Account(Base):
    """A sponsor: the tenant."""

    __tablename__ = "account"
    __table_args__ = (CheckConstraint("permission_model IN ('functionality', 'role')", name="permission_model"),)

    id: Mapped[Id] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(63), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    portal_url: Mapped[str] = mapped_column(String(500))
    time_zone: Mapped[str] = mapped_column(String(64))
    permission_model: Mapped[str] = mapped_column(String(20))
    accent: Mapped[str | None] = mapped_column(String(7))
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]

    mfa: Mapped[list[AccountMfa]] = relationship(cascade="all, delete-orphan")

    @property
    def short_name(self) -> str:
        """What one says in a sentence: the first word of the name."""
        return self.name.split()[0] if self.name.split() else self.slug

    def mfa_for(self, audience: str) -> AccountMfa | None:
        """This account's switch for an audience; None while nobody has touched it."""
        return next((switch for switch in self.mfa if switch.audience == audience), None)


class AccountMfa(Base):
    """What one account chose for one audience."""

    __tablename__ = "account_mfa"
    __table_args__ = (CheckConstraint("audience IN ('team', 'investors')", name="audience"),)

    account_id: Mapped[Id] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), primary_key=True)
    audience: Mapped[str] = mapped_column(String(20), primary_key=True)
    enabled: Mapped[bool]
    methods: Mapped[list[str]]
    remember_device: Mapped[bool]
    changed_at: Mapped[datetime]
    changed_by: Mapped[str | None] = mapped_column(ForeignKey("app_user.id", ondelete="SET NULL"))
    #: Raised by every save: a form that shows an older one is answered, not obeyed.
    revision: Mapped[int] = mapped_column(default=1)


class User(Base):
    """A person who signs in; one, however many accounts they belong to (domain D14)."""

    __tablename__ = "app_user"

    id: Mapped[Id] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    password_hash: Mapped[str | None] = mapped_column(String(300))
    password_changed_at: Mapped[datetime | None]
    last_method: Mapped[str | None] = mapped_column(String(20))
    #: Their own; None: the account's.
    time_zone: Mapped[str | None] = mapped_column(String(64))
    #: Sensitive acts are refused until then: somebody with their mailbox has reset the password (domain D15).
    sensitive_acts_from: Mapped[datetime | None]
    created_at: Mapped[datetime]

    email: Mapped[EmailAddress] = relationship(back_populates="user", lazy="joined", innerjoin=True)
    phone: Mapped[PhoneNumber | None] = relationship(back_populates="user", lazy="joined")
    memberships: Mapped[list[Membership]] = relationship(back_populates="user", order_by="Membership.created_at")

    def zone_in(self, account: Account) -> ZoneInfo:
        """The zone in which times are written for them: their own, else the account's (ux.md, rule 11)."""
        return ZoneInfo(self.time_zone or account.time_zone)


class EmailAddress(Base):
    """The address a person signs in with. `canonical` decides sameness; `address` is what they typed and what mail goes to."""

    __tablename__ = "email_address"

    user_id: Mapped[Id] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"), primary_key=True)
    address: Mapped[str] = mapped_column(String(320))
    canonical: Mapped[str] = mapped_column(String(320), unique=True)
    verified_at: Mapped[datetime | None]

    user: Mapped[User] = relationship(back_populates="email")


class PhoneNumber(Base):
    """The number a person's codes go to, in E.164."""

    __tablename__ = "phone_number"

    user_id: Mapped[Id] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"), primary_key=True)
    e164: Mapped[str] = mapped_column(String(16))
    verified_at: Mapped[datetime | None]

    user: Mapped[User] = relationship(back_populates="phone")


class Membership(Base):
    """A person in an account for one audience (domain D33)."""

    __tablename__ = "membership"
    __table_args__ = (
        UniqueConstraint("user_id", "account_id", "audience"),
        Index(None, "account_id"),
        CheckConstraint("audience IN ('team', 'investors')", name="audience"),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    user_id: Mapped[Id] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"))
    account_id: Mapped[Id] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    audience: Mapped[str] = mapped_column(String(20))
    role: Mapped[str] = mapped_column(String(20))
    sensitive_data_access: Mapped[bool] = mapped_column(default=False)
    #: Role-based accounts show and set these two; the portal reads them.
    kpi_access: Mapped[bool] = mapped_column(default=False)
    view_only: Mapped[bool] = mapped_column(default=False)
    #: What whoever added them calls them, until they accept: nobody learns from adding an address whose it is (RC-09).
    invited_as: Mapped[str | None] = mapped_column(String(200))
    #: Raised by whatever ends remembering (domain D6); a device row with an older value is void.
    security_epoch: Mapped[int] = mapped_column(default=0)
    #: What raised it last, for the line that says why a code is asked for; None: never raised.
    epoch_reason: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    deactivated_at: Mapped[datetime | None]
    last_sign_in_at: Mapped[datetime | None]

    user: Mapped[User] = relationship(back_populates="memberships")
    account: Mapped[Account] = relationship(lazy="joined", innerjoin=True)

    @property
    def is_active(self) -> bool:
        """Accepted, not deactivated, in an account that is open."""
        return self.accepted_at is not None and self.deactivated_at is None and self.account.closed_at is None


class Invitation(Base):
    """An invitation into a membership that waits to be accepted. The newest one alone counts."""

    __tablename__ = "invitation"
    __table_args__ = (Index(None, "membership_id"),)

    id: Mapped[Id] = mapped_column(primary_key=True)
    membership_id: Mapped[Id] = mapped_column(ForeignKey("membership.id", ondelete="CASCADE"))
    token_digest: Mapped[Digest] = mapped_column(unique=True)
    #: Where it went: proves that address and no later one (security.md RC-10).
    address: Mapped[str] = mapped_column(String(320))
    #: None: an operator or a service invited them.
    invited_by: Mapped[str | None] = mapped_column(ForeignKey("app_user.id", ondelete="SET NULL"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]
    #: When, expired, it was asked for anew: the inviter is told once.
    wanted_at: Mapped[datetime | None]

    membership: Mapped[Membership] = relationship(lazy="joined", innerjoin=True)


class MailedLink(Base):
    """A link that was mailed to one address of one person, for one purpose, once. The newest of a purpose alone counts."""

    __tablename__ = "mailed_link"
    __table_args__ = (
        Index(None, "user_id"),
        Index(None, "expires_at"),
        CheckConstraint("purpose IN ('reset', 'verify_email', 'not_me')", name="purpose"),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    purpose: Mapped[str] = mapped_column(String(20))
    token_digest: Mapped[Digest] = mapped_column(unique=True)
    user_id: Mapped[Id] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"))
    #: In whose name it was mailed; None: in nobody's, for a person of several accounts.
    account_id: Mapped[str | None] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    #: Where it went: proves that address and no later one (security.md RC-10).
    address: Mapped[str] = mapped_column(String(320))
    #: What the notice told of that carries it.
    about: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    voided_at: Mapped[datetime | None]

    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)
    account: Mapped[Account | None] = relationship(lazy="joined")


class EmailChange(Base):
    """The address a person wants instead; it counts once the code sent to it comes back (domain D16)."""

    __tablename__ = "email_change"

    user_id: Mapped[Id] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"), primary_key=True)
    #: The subject of its challenge: a new one with every change begun.
    id: Mapped[Id] = mapped_column(unique=True)
    address: Mapped[str] = mapped_column(String(320))
    canonical: Mapped[str] = mapped_column(String(320))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class SuppressedAddress(Base):
    """An address that mail came back from, or whose owner called our mail spam: nothing is mailed to it any more.

    By digest, for the list outlives people. Whoever has another address by now is not concerned.
    """

    __tablename__ = "suppressed_address"
    __table_args__ = (CheckConstraint("reason IN ('bounce', 'complaint')", name="reason"),)

    address_digest: Mapped[Digest] = mapped_column(primary_key=True)
    reason: Mapped[str] = mapped_column(String(20))
    #: The provider's own word for it, as "General" or "NoEmail".
    kind: Mapped[str] = mapped_column(String(40))
    suppressed_at: Mapped[datetime]
    #: Whose address it was then, if anybody's.
    user_id: Mapped[str | None] = mapped_column(ForeignKey("app_user.id", ondelete="SET NULL"))


class DataAccessRequest(Base):
    """Support asks for Sensitive Data Access on somebody's behalf; another operator approves (domain D12)."""

    __tablename__ = "data_access_request"
    __table_args__ = (Index(None, "membership_id"),)

    id: Mapped[Id] = mapped_column(primary_key=True)
    membership_id: Mapped[Id] = mapped_column(ForeignKey("membership.id", ondelete="CASCADE"))
    requested_by: Mapped[str] = mapped_column(String(200))
    requested_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    approved_by: Mapped[str | None] = mapped_column(String(200))
    approved_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]
