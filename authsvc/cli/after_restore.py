"""`authsvc after-restore`: nothing that was spent or ended since a backup lives again because the backup came back.

A restored database believes in sessions that were signed out, refresh tokens that were used, devices that were forgotten
(security.md TK-15). Nobody can tell them from the good ones, so all of them end.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import click
from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from authsvc.accounts.models import Invitation, MailedLink
from authsvc.audit import Event
from authsvc.cli.context import LazyServices
from authsvc.cli.keys_descent import count_devices, take_time
from authsvc.cli.keys_withdraw import devices_of, queue_of
from authsvc.db import Base
from authsvc.keyring.cli import as_json_option, confirm, open_ring, yes_option
from authsvc.keyring.schedule import KeyringError, KeyState, state
from authsvc.keyring.words import counted, local_and_utc
from authsvc.login.models import LoginAttempt
from authsvc.mfa.models import Challenge, RecoveryCode
from authsvc.oauth.models import AuthorizationCode, TokenFamily
from authsvc.sessions.models import BrowserSession, SignInRequest
from authsvc.sessions.session import announce_ended

REASON = "restored_from_backup"


@dataclass(frozen=True)
class Revived:
    """How much of each the backup brought back."""

    sessions: int
    families: int
    codes: int
    challenges: int
    attempts: int
    requests: int
    links: int
    invitations: int
    recovery_codes: int
    devices: int

    def as_text(self) -> list[str]:
        """One line each."""
        names = {
            "sessions": "session",
            "families": "token family",
            "codes": "authorization code",
            "challenges": "one-time code",
            "attempts": "sign-in under way",
            "requests": "parked authorization request",
            "links": "mailed link",
            "invitations": "open invitation",
            "recovery_codes": "recovery code",
            "devices": "remembered device",
        }
        return [f"  {_counted(number, names[name])}" for name, number in asdict(self).items()]


@dataclass(frozen=True)
class _End:
    """Rows of one table that are live, and what ends them."""

    table: type[Base]
    live: tuple[ColumnElement[bool], ...]
    values: dict[str, Any]


@click.command("after-restore")
@yes_option
@as_json_option
@click.pass_obj
def after_restore(needs: LazyServices, yes: bool, as_json: bool) -> None:
    """After the database came back from a backup: end every session, token, code and remembered device in it.

    Run it before traffic returns. Everybody signs in again, makes new recovery codes and is invited anew; clients and their
    secrets stay.
    """
    with needs.database.transaction(read_only=True) as tx:
        found = revived(tx, needs.clock.now())
    confirm(["In this database live", *found.as_text(), "All of them end."], "End them?", yes=yes)
    with needs.database.transaction() as tx:
        ended = end_revived(tx, needs)
        needs.audit.record(tx, Event.RESTORE_CLEANED, **asdict(ended))
    if as_json:
        click.echo(json.dumps({"ended": asdict(ended)}))
        return
    click.echo("\n".join(["Ended:", *ended.as_text(), *_about_keys(needs)]))


def revived(tx: Session, now: datetime) -> Revived:
    """What is live in this database."""
    counts = {
        name: tx.scalar(select(func.count()).select_from(end.table).where(*end.live)) or 0
        for name, end in _ends(now).items()
    }
    return Revived(**counts, devices=count_devices(tx, now))


def end_revived(tx: Session, needs: LazyServices) -> Revived:
    """End it all in this transaction; answers how much it was."""
    now = needs.clock.now()
    take_time(tx)
    devices = count_devices(tx, now)
    ends = _ends(now)
    # Their clients may believe in them too.
    announce_ended(tx, queue_of(needs), tx.scalars(select(BrowserSession.id).where(*ends["sessions"].live)).all())
    counts = {}
    for name, end in ends.items():
        statement = update(end.table).where(*end.live).values(end.values)
        counts[name] = tx.execute(statement, execution_options={"synchronize_session": False}).rowcount  # type: ignore[attr-defined]
    devices_of(needs).forget_all(tx, reason=REASON)
    return Revived(**counts, devices=devices)


def _ends(now: datetime) -> dict[str, _End]:
    # A code that was not spent in the backup may have been since: it runs out, for nobody knows that it was spent.
    return {
        "sessions": _End(
            BrowserSession,
            (BrowserSession.ended_at.is_(None), BrowserSession.expires_at > now),
            {"ended_at": now, "ended_reason": REASON},
        ),
        "families": _End(
            TokenFamily,
            (TokenFamily.revoked_at.is_(None), TokenFamily.expires_at > now),
            {"revoked_at": now, "revoked_reason": REASON},
        ),
        "codes": _End(
            AuthorizationCode,
            (AuthorizationCode.consumed_at.is_(None), AuthorizationCode.expires_at > now),
            {"expires_at": now},
        ),
        "challenges": _End(
            Challenge,
            (Challenge.consumed_at.is_(None), Challenge.voided_at.is_(None), Challenge.expires_at > now),
            {"voided_at": now},
        ),
        "attempts": _End(LoginAttempt, (LoginAttempt.expires_at > now,), {"expires_at": now}),
        "requests": _End(SignInRequest, (SignInRequest.expires_at > now,), {"expires_at": now}),
        "links": _End(
            MailedLink,
            (MailedLink.used_at.is_(None), MailedLink.voided_at.is_(None), MailedLink.expires_at > now),
            {"voided_at": now},
        ),
        # One that was withdrawn, or a code that was used, is open again in the backup, and good for as long as it lasts.
        "invitations": _End(
            Invitation,
            (Invitation.accepted_at.is_(None), Invitation.withdrawn_at.is_(None), Invitation.expires_at > now),
            {"withdrawn_at": now},
        ),
        "recovery_codes": _End(RecoveryCode, (RecoveryCode.used_at.is_(None),), {"used_at": now}),
    }


def _about_keys(needs: LazyServices) -> list[str]:
    now = needs.clock.now()
    try:
        entries = open_ring(needs).entries()
    except KeyringError as exc:
        return [f"The key ring: {exc}"]
    signing = [entry for entry in entries if state(entry, now) is KeyState.ACTIVE]
    return [
        "If a key below was withdrawn after the backup was made, withdraw it again: authsvc keys withdraw KID",
        *(f"  {entry.kid}  {entry.algorithm:<5}  signs since {local_and_utc(entry.use_from)}" for entry in signing),
    ]


def _counted(number: int, thing: str) -> str:
    return f"{number:,} sign-ins under way" if thing == "sign-in under way" and number != 1 else counted(number, thing)
