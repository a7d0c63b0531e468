"""A second fence around one account: where a query forgets its WHERE, PostgreSQL does not (ASVS 8.4.1, security.md TN).

Row-level security on the tables of FENCED compares with a setting of the transaction. It holds where `within` is open and
nowhere else: whoever signs in is looked up before any account is known, and what ends a person's sessions or devices
reaches into all of their accounts. It holds against slips of ours, not against somebody who can run SQL as us: they can
change the setting. SQLite has no such thing, and one machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import func, select
from sqlalchemy.orm import Session

SETTING = "authsvc.account_id"
#: Tables with the fence (migration 0019), and how their rows belong to an account: by their own column, or their membership's.
FENCED = {
    "membership": "account_id",
    "audit_event": "account_id",
    "remembered_device": "membership_id",
    "browser_session": "membership_id",
    "invitation": "membership_id",
    "export": "account_id",
}


@contextmanager
def within(tx: Session, account_id: str) -> Iterator[None]:
    """Until the block ends, `tx` sees and changes rows of this account alone; of the trail also those of no account.

    For listings and exports of one account. What was read before stays in the Session, and what is read later is unfenced.
    """
    if tx.get_bind().dialect.name != "postgresql":
        yield
        return
    tx.flush()
    tx.execute(select(func.set_config(SETTING, account_id, True)))
    yield
    # Not after an error: the transaction is over then, and the setting with it.
    tx.flush()
    tx.execute(select(func.set_config(SETTING, "", True)))
