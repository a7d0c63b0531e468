"""Accepting an invitation, whole: the page and the API call this (security.md RC-08)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from authsvc.account_settings.second_step import forget_second_step
from authsvc.accounts.invitations import Accepted, Invitations, InvitationState
from authsvc.devices.remember import Devices
from authsvc.mfa.challenge import OneTimeCodes
from authsvc.mfa.enrolment import AuthenticatorApps
from authsvc.sessions.session import Sessions


@dataclass(frozen=True)
class Joining:
    """Lets a person in, and nobody else with them."""

    invitations: Invitations
    sessions: Sessions
    devices: Devices
    apps: AuthenticatorApps
    codes: OneTimeCodes

    def accept(
        self, tx: Session, token: str, *, name: str | None = None, password_hash: str | None = None
    ) -> Accepted | InvitationState:
        """As Invitations.accept. An identity whose address nobody had proved keeps no session, phone, app or pending change.

        Attempts end by themselves: they count only for the password they proved.
        """
        accepted = self.invitations.accept(tx, token, name=name, password_hash=password_hash)
        if isinstance(accepted, Accepted) and accepted.took_over:
            user = accepted.membership.user
            forget_second_step(tx, user, apps=self.apps, codes=self.codes)
            self.sessions.end_all(tx, "invitation_accepted", user_id=user.id)
            self.devices.forget_all(tx, reason="invitation_accepted", user_id=user.id)
        return accepted
