""" "Sign everyone out now" (domain D9)."""

from __future__ import annotations

from sqlalchemy.orm import Session

from authsvc.accounts.queries import lock_account
from authsvc.audit import AuditLog, Event
from authsvc.sessions.models import BrowserSession
from authsvc.sessions.session import Sessions


def sign_everyone_out(
    tx: Session, sessions: Sessions, audit: AuditLog, *, account_id: str, audience: str, by: BrowserSession
) -> int:
    """End every session of this account and audience but the one that asks; answers how many ended.

    Tokens of those sessions end with them. Remembered devices stay: they never admit anybody without the password.
    """
    lock_account(tx, account_id)
    ended = sessions.end_all_of_account(tx, "everyone_signed_out", account_id=account_id, audience=audience, but=by.id)
    audit.record(
        tx,
        Event.EVERYONE_SIGNED_OUT,
        user_id=by.user_id,
        account_id=account_id,
        session_id=by.id,
        audience=audience,
        sessions=ended,
    )
    return ended
