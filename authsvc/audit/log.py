"""Writing the trail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from sqlalchemy.orm import Session

from authsvc.audit.events import FIELDS, Event
from authsvc.audit.models import AuditEvent
from authsvc.clock import Clock
from authsvc.db import after_commit
from authsvc.web import facts

Seen = Callable[[Event, Mapping[str, object]], None]


def nobody(_event: Event, _fields: Mapping[str, object]) -> None:
    """Where nobody counts."""


@dataclass(frozen=True)
class AuditLog:
    """Appends events; knows the time and which policies are in force. `seen` hears of each once it is committed."""

    clock: Clock
    policy_hash: str
    seen: Seen = nobody

    def record(
        self,
        tx: Session,
        event: Event,
        *,
        user_id: str | None = None,
        account_id: str | None = None,
        session_id: str | None = None,
        client_id: str | None = None,
        **fields: str | int | bool | list[str] | None,
    ) -> None:
        """Add the row to the transaction of the act, so that there is no act without its row.

        Raises: ValueError when the event does not carry such a field: the catalogue is closed.
        """
        if unknown := fields.keys() - FIELDS[event]:
            raise ValueError(f"{event} has no field {sorted(unknown)}")
        here = facts.current()
        tx.add(
            AuditEvent(
                at=self.clock.now(),
                name=event.value,
                user_id=user_id,
                account_id=account_id,
                session_id=session_id,
                client_id=client_id,
                remote_address=here.remote_address[:64],
                user_agent=here.user_agent[:256],
                request_id=here.request_id[:64],
                operator=here.operator[:64],
                policy_hash=self.policy_hash,
                fields={name: value for name, value in fields.items() if value is not None},
            )
        )
        after_commit(tx, partial(self.seen, event, fields))
