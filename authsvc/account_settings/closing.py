"""Close an account, and open it again: support only."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from authsvc.account_settings.acting import DONE, Outcome, Result
from authsvc.accounts.models import Account, Audience
from authsvc.accounts.queries import lock_account
from authsvc.audit import AuditLog, Event
from authsvc.clock import Clock
from authsvc.devices.remember import Devices
from authsvc.sessions.session import Sessions


@dataclass(frozen=True)
class Closing:
    """While an account is closed nobody enters it. Reopened, everything is asked anew."""

    sessions: Sessions
    devices: Devices
    clock: Clock
    audit: AuditLog

    def close(self, tx: Session, account: Account) -> Result:
        """Sign everybody out of it and let nobody in; `count` sessions ended, tokens end with them."""
        lock_account(tx, account.id)
        tx.refresh(account)
        if account.closed_at is not None:
            return Result(Outcome.ALREADY)
        account.closed_at = self.clock.now()
        tx.flush()
        ended = sum(
            self.sessions.end_all_of_account(tx, "account_closed", account_id=account.id, audience=audience)
            for audience in Audience
        )
        self.devices.forget_all(tx, reason="account_closed", account_id=account.id)
        self.audit.record(tx, Event.ACCOUNT_CLOSED, account_id=account.id, sessions=ended)
        return Result(Outcome.DONE, count=ended)

    def reopen(self, tx: Session, account: Account) -> Result:
        """Let people in again."""
        lock_account(tx, account.id)
        tx.refresh(account)
        if account.closed_at is None:
            return Result(Outcome.ALREADY)
        account.closed_at = None
        tx.flush()
        self.audit.record(tx, Event.ACCOUNT_REOPENED, account_id=account.id)
        return DONE
