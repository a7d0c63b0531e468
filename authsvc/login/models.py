"""The table of sign-ins under way."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from authsvc.accounts.models import Membership, User
from authsvc.db.base import Base, Digest, Id
from authsvc.mfa.models import AuthenticatorApp


class LoginAttempt(Base):
    """A sign-in whose password was right and which is not finished. Found by the secret in the browser's cookie."""

    __tablename__ = "login_attempt"
    __table_args__ = (Index(None, "expires_at"),)

    id: Mapped[Id] = mapped_column(primary_key=True)
    secret_digest: Mapped[Digest] = mapped_column(unique=True)
    user_id: Mapped[Id] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"))
    membership_id: Mapped[str | None] = mapped_column(ForeignKey("membership.id", ondelete="CASCADE"))
    #: What was shown in this sign-in: pwd, email, sms, totp, recovery.
    proofs: Mapped[list[str]]
    #: When the password was typed: now, or earlier in the session that this sign-in steps up.
    password_at: Mapped[datetime]
    method: Mapped[str | None] = mapped_column(String(10))
    skipped_verification: Mapped[bool] = mapped_column(default=False)
    has_no_us_number: Mapped[bool] = mapped_column(default=False)
    pending_phone: Mapped[str | None] = mapped_column(String(16))
    remember: Mapped[bool] = mapped_column(default=False)
    #: MfaRules when the account was entered; the sign-in satisfies the stricter of these and the rules at its end (MF-15).
    start_rules: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    #: The session's secret and the device cookie, readable with the attempt's secret for a minute: a lost answer is repeated.
    handover_session: Mapped[str | None] = mapped_column(String(300))
    handover_device: Mapped[str | None] = mapped_column(String(400))

    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)
    membership: Mapped[Membership | None] = relationship(lazy="joined")
    #: The person's, by the person's id: read with the attempt, for every step asks whether there is one.
    app: Mapped[AuthenticatorApp | None] = relationship(
        primaryjoin=lambda: foreign(LoginAttempt.user_id) == AuthenticatorApp.user_id, lazy="joined", viewonly=True
    )

    @property
    def steps_up(self) -> bool:
        """Whether it began from a live session: the password was typed before."""
        return self.password_at < self.created_at

    @property
    def app_ready(self) -> bool:
        """Whether the person has an authenticator app that counts."""
        return self.app is not None and self.app.confirmed_at is not None

    @property
    def proofs_beyond_password(self) -> bool:
        """Whether a code was shown in this sign-in."""
        return len(self.proofs) > 1
