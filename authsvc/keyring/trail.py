"""The audit trail of what is done to keys: in the transaction of the act where the ring lies in the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from authsvc.audit import AuditLog, Event
from authsvc.db import Database, DatabaseUnavailable
from authsvc.keyring.ring import Rotation, Withdrawal


@dataclass
class Trail:
    """Its methods are given to the ring as `note`; `make_sure` writes the rows of a ring that lies elsewhere."""

    audit: AuditLog
    #: Why keys rotate: planned, now or policy.
    cause: str = ""
    _is_written: bool = field(default=False, init=False)

    def rotations(self, tx: Session, rotations: Sequence[Rotation]) -> None:
        """One row a key that takes over."""
        for rotation in rotations:
            kid, algorithm = rotation.successor.kid, str(rotation.successor.algorithm)
            self.audit.record(tx, Event.KEY_ROTATED, algorithm=algorithm, kid=kid, cause=self.cause)
        self._is_written = True

    def withdrawal(self, tx: Session, withdrawal: Withdrawal) -> None:
        """The key that left, and the one that took over."""
        gone, successor = withdrawal.withdrawn, withdrawal.successor
        self.audit.record(
            tx,
            Event.KEY_WITHDRAWN,
            algorithm=str(gone.algorithm),
            kid=gone.kid,
            successor=successor.kid if successor else None,
        )
        self._is_written = True

    def make_sure(self, database: Database, write: Callable[[Session], None]) -> bool:
        """Whether the rows are there. A folder changes with the database away as well; then they are missing."""
        if not self._is_written:
            try:
                with database.transaction() as tx:
                    write(tx)
            except DatabaseUnavailable:
                return False
        return True
