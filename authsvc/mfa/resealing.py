"""Authenticator apps under a new secret: their keys are the one thing in the database that is sealed for years.

What else is sealed there is over within the quarter of an hour: codes that are out, and apps that are being set up.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, update

from authsvc.crypto.seal import SealBroken, Sealer
from authsvc.db import Database
from authsvc.mfa.enrolment import sealed_as
from authsvc.mfa.models import AuthenticatorApp


@dataclass
class Resealed:
    """How many apps were sealed anew, were so already, and open with no secret of the list."""

    anew: int = 0
    already: int = 0
    lost: int = 0


def reseal_apps(database: Database, sealer: Sealer, first: Sealer, *, batch: int = 200) -> Resealed:
    """Seal every app's key under `first`; `sealer` opens what there is. May be stopped and run again.

    `batch` rows a transaction, each by a conditional UPDATE: an app that is replaced meanwhile keeps its new key.
    Raises: DatabaseUnavailable.
    """
    done, after = Resealed(), ""
    while True:
        with database.transaction() as tx:
            rows = tx.execute(
                select(AuthenticatorApp.user_id, AuthenticatorApp.secret_sealed)
                .where(AuthenticatorApp.user_id > after)
                .order_by(AuthenticatorApp.user_id)
                .limit(batch)
            ).all()
            for user_id, sealed in rows:
                where = sealed_as(user_id)
                if _opens(first, sealed, where=where) is not None:
                    done.already += 1
                elif (plain := _opens(sealer, sealed, where=where)) is None:
                    done.lost += 1
                else:
                    row = (AuthenticatorApp.user_id == user_id) & (AuthenticatorApp.secret_sealed == sealed)
                    tx.execute(update(AuthenticatorApp).where(row).values(secret_sealed=first.seal(plain, where=where)))
                    done.anew += 1
        if len(rows) < batch:
            return done
        after = rows[-1].user_id


def _opens(sealer: Sealer, sealed: str, *, where: str) -> bytes | None:
    try:
        return sealer.open(sealed, where=where)
    except SealBroken:
        return None
