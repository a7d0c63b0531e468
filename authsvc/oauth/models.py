"""Tables: clients, resource servers, and what was granted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from authsvc.accounts.models import Membership
from authsvc.db.base import Base, Digest, Id


class OAuthClient(Base):
    """A registered client. What it says of itself is `client_metadata` (RFC 7591); the other columns are ours to set."""

    __tablename__ = "oauth_client"

    client_id: Mapped[Id] = mapped_column(primary_key=True)
    client_secret_digest: Mapped[str | None] = mapped_column(String(64))
    #: After a rotation with an overlap: the old secret, and until when it does.
    previous_secret_digest: Mapped[str | None] = mapped_column(String(64))
    previous_secret_until: Mapped[datetime | None]
    #: With what it manages itself (RFC 7592); only a client that registered itself has one.
    registration_token_digest: Mapped[str | None] = mapped_column(String(64))
    client_metadata: Mapped[dict[str, Any]]
    #: IMS's own: no consent is asked, subjects are public.
    first_party: Mapped[bool] = mapped_column(default=True)
    #: The least acr with which anybody enters it; no parameter lowers it (claims.md).
    minimum_acr: Mapped[str | None] = mapped_column(String(60))
    #: The resource servers its tokens may be for; None: any that has one of its scopes.
    resources: Mapped[list[str] | None]
    #: Slugs of the accounts it may touch through the account API (security.md TN-13); None: all.
    accounts: Mapped[list[str] | None]
    created_at: Mapped[datetime]
    deactivated_at: Mapped[datetime | None]


class ResourceServer(Base):
    """An API that access tokens are for: its identifier is their `aud` (RFC 8707)."""

    __tablename__ = "resource_server"

    identifier: Mapped[str] = mapped_column(String(500), primary_key=True)
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime]


class SpentAssertion(Base):
    """The jti of a client's assertion that was used (RFC 7523 3), for as long as its times would let it in again."""

    __tablename__ = "spent_assertion"
    __table_args__ = (Index(None, "expires_at"),)

    client_id: Mapped[Id] = mapped_column(ForeignKey("oauth_client.client_id", ondelete="CASCADE"), primary_key=True)
    jti_digest: Mapped[Digest] = mapped_column(primary_key=True)
    expires_at: Mapped[datetime]


class TokenFamily(Base):
    """Everything that descends from one authorization: what was granted, and what the sign-in had shown.

    Tokens say what stands here, unchanged by refreshing (claims.md). Ended as a whole.
    """

    __tablename__ = "token_family"
    __table_args__ = (Index(None, "session_id"), Index(None, "user_id"), Index(None, "expires_at"))

    id: Mapped[Id] = mapped_column(primary_key=True)
    client_id: Mapped[Id] = mapped_column(ForeignKey("oauth_client.client_id", ondelete="CASCADE"))
    user_id: Mapped[Id] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"))
    membership_id: Mapped[Id] = mapped_column(ForeignKey("membership.id", ondelete="CASCADE"))
    session_id: Mapped[Id]
    scope: Mapped[str] = mapped_column(String(2000))
    resource: Mapped[str] = mapped_column(String(500))
    nonce: Mapped[str | None] = mapped_column(String(500))
    acr: Mapped[str] = mapped_column(String(60))
    amr: Mapped[list[str]]
    auth_time: Mapped[datetime]
    device_id: Mapped[str | None] = mapped_column(String(64))
    remembered: Mapped[dict[str, Any] | None]
    #: Claims asked for one by one (OpenID Connect Core 5.5): the names, by where they are to appear.
    asked_claims: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    revoked_reason: Mapped[str | None] = mapped_column(String(40))

    membership: Mapped[Membership] = relationship(lazy="joined", innerjoin=True)


class AuthorizationCode(Base):
    """A code, by its digest, until it is spent."""

    __tablename__ = "authorization_code"
    __table_args__ = (Index(None, "expires_at"),)

    code_digest: Mapped[Digest] = mapped_column(primary_key=True)
    family_id: Mapped[Id] = mapped_column(ForeignKey("token_family.id", ondelete="CASCADE"))
    client_id: Mapped[Id]
    redirect_uri: Mapped[str] = mapped_column(String(2000))
    code_challenge: Mapped[str] = mapped_column(String(128))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    consumed_at: Mapped[datetime | None]


class PushedRequest(Base):
    """An authorization request that its client left with us (RFC 9126), by the digest of its link, until it was answered."""

    __tablename__ = "pushed_request"
    __table_args__ = (Index(None, "expires_at"),)

    digest: Mapped[Digest] = mapped_column(primary_key=True)
    client_id: Mapped[Id] = mapped_column(ForeignKey("oauth_client.client_id", ondelete="CASCADE"))
    params: Mapped[dict[str, Any]]
    #: Whether it came as a signed request object.
    signed: Mapped[bool]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    consumed_at: Mapped[datetime | None]
    #: The parked request it was answered to: that one may be answered again for a moment.
    consumed_by: Mapped[str | None] = mapped_column(String(64))


class Consent(Base):
    """One scope that a person lets one client have, in one account. A row a scope: two answers at once cannot lose one."""

    __tablename__ = "consent"

    user_id: Mapped[Id] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"), primary_key=True)
    account_id: Mapped[Id] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), primary_key=True)
    client_id: Mapped[Id] = mapped_column(ForeignKey("oauth_client.client_id", ondelete="CASCADE"), primary_key=True)
    scope: Mapped[str] = mapped_column(String(200), primary_key=True)
    granted_at: Mapped[datetime]


class RefreshToken(Base):
    """A refresh token, by its digest. Its successor is kept sealed under the token itself, for the retry window alone."""

    __tablename__ = "refresh_token"
    __table_args__ = (Index(None, "family_id"), Index(None, "expires_at"))

    digest: Mapped[Digest] = mapped_column(primary_key=True)
    family_id: Mapped[Id] = mapped_column(ForeignKey("token_family.id", ondelete="CASCADE"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    consumed_at: Mapped[datetime | None]
    successor_digest: Mapped[str | None] = mapped_column(String(64))
    successor_wrapped: Mapped[str | None] = mapped_column(String(300))


class RevokedToken(Base):
    """A machine's access token that was revoked, until it ends: there is no family to end (RFC 7009)."""

    __tablename__ = "revoked_token"
    __table_args__ = (Index(None, "expires_at"),)

    jti_digest: Mapped[Digest] = mapped_column(primary_key=True)
    expires_at: Mapped[datetime]


class DeviceAuthorization(Base):
    """A device that asks to be let in (RFC 8628): its two codes by their digests, and what became of it.

    Decided once, redeemed once. `family_id` is set by approving; a decision without a family was a refusal.
    """

    __tablename__ = "device_authorization"
    __table_args__ = (Index(None, "expires_at"),)

    id: Mapped[Id] = mapped_column(primary_key=True)
    device_code_digest: Mapped[Digest] = mapped_column(unique=True)
    user_code_digest: Mapped[Digest] = mapped_column(unique=True)
    client_id: Mapped[Id] = mapped_column(ForeignKey("oauth_client.client_id", ondelete="CASCADE"))
    scope: Mapped[str] = mapped_column(String(2000))
    resource: Mapped[str] = mapped_column(String(500))
    #: Where the device asked from, for the person to compare.
    remote_address: Mapped[str] = mapped_column(String(45))
    #: How long it waits between two questions; five seconds more each time it does not (RFC 8628 3.5).
    interval_s: Mapped[int]
    not_before: Mapped[datetime]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    family_id: Mapped[str | None] = mapped_column(ForeignKey("token_family.id", ondelete="CASCADE"))
    consumed_at: Mapped[datetime | None]


class InitialAccessToken(Base):
    """What lets somebody register clients (RFC 7591 1.2), by its digest: so many times, until then."""

    __tablename__ = "initial_access_token"
    __table_args__ = (Index(None, "expires_at"),)

    digest: Mapped[Digest] = mapped_column(primary_key=True)
    uses_left: Mapped[int]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class LogoutDelivery(Base):
    """The receipt of one logout token (Back-Channel Logout 1.0): to whom, about which session, and what came of it."""

    __tablename__ = "logout_delivery"
    __table_args__ = (
        Index(None, "client_id", "created_at"),
        Index(None, "created_at"),
        CheckConstraint("status IN ('pending', 'delivered', 'failed')", name="status"),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    client_id: Mapped[Id] = mapped_column(ForeignKey("oauth_client.client_id", ondelete="CASCADE"))
    user_id: Mapped[Id] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"))
    #: None: every session of the person.
    session_id: Mapped[str | None] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(10), default="pending")
    attempts: Mapped[int] = mapped_column(default=0)
    #: What was wrong the last time, in a few words of ours.
    problem: Mapped[str] = mapped_column(String(200), default="")
    created_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]
