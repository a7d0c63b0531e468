"""Exports that a client builds and hands over: announced, received, whole or refused (domain J10, X9).

The client says for whom and what it is called; the person sees it from that moment as "Processing". Everything after that is
as with exports built here, and the client can neither read the file back nor learn whether it was downloaded.

To receive a file, outside any transaction but for the first and the last step:

    with database.transaction() as tx:
        receiving = hand_overs.begin(tx, export)
    for old in receiving.leftover: store.delete(old)
    with store.create(receiving.file_id) as writer: ...        # hand_overs.received() now and then
    with database.transaction() as tx:
        outcome = hand_overs.complete(tx, export, receiving.file_id, writer.stored)
    if outcome is not DONE: store.delete(receiving.file_id)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from authsvc.accounts.models import Audience, Membership
from authsvc.audit import Event
from authsvc.crypto.tokens import is_id, new_id
from authsvc.exports import access
from authsvc.exports.files import StoredFile
from authsvc.exports.life import Life, TooMany, find
from authsvc.exports.models import OPEN, Export, Kind, Reason, Status

MIB = 1024 * 1024
SHA256 = re.compile(r"[0-9a-f]{64}")
#: RFC 6838 4.2, without parameters.
MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,60}", re.IGNORECASE)
LONGEST_NAME = 200


class Refused(StrEnum):
    """Why nothing was announced."""

    #: Not a person of this account, or one who may not have exports now.
    NO_ACCESS = "no_access"
    BAD_NAME = "bad_name"
    BAD_SCOPE = "bad_scope"
    BAD_MEDIA_TYPE = "bad_media_type"
    BAD_SIZE = "bad_size"
    BAD_DIGEST = "bad_digest"
    TOO_LARGE = "too_large"


class Outcome(StrEnum):
    """What became of a file that was handed over. All but DONE: delete what was received."""

    DONE = "done"
    #: Ended meanwhile, or another transfer of the same export is newer.
    OVER = "over"
    #: Its person may not have it any more; the export has failed.
    NO_ACCESS = "no_access"
    #: Not the size or not the digest that was announced; the export waits for the right file.
    NOT_AS_ANNOUNCED = "not_as_announced"


@dataclass(frozen=True)
class Announced:
    """What the client said. `size` in bytes and `sha256` in hex may be unknown."""

    name: str
    scope: str
    media_type: str
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Receiving:
    """Where the bytes go, and files of earlier tries to delete first."""

    file_id: str
    leftover: tuple[str, ...]


@dataclass(frozen=True)
class HandOvers:
    """The client's side of an export."""

    life: Life

    def create_for(
        self, tx: Session, *, client_id: str, account_id: str, user_id: str, announced: Announced
    ) -> Export | Refused | TooMany:
        """Announce a file for a person of an account, who sees it as "Processing" now.

        The caller has made sure that the client may touch this account, and whom its `sub` names (oauth/subjects.py).
        """
        if (refused := self._why_not(announced)) is not None:
            return refused
        now = self.life.clock.now()
        membership = _membership(tx, account_id, user_id)
        if membership is None or access.why_not(Kind.HANDED_OVER, membership, self.life.permissions, now=now):
            return Refused.NO_ACCESS
        if (full := self.life.take_place(tx, user_id)) is not None:
            return full
        export = Export(
            id=new_id(),
            account_id=account_id,
            user_id=user_id,
            membership_id=membership.id,
            client_id=client_id,
            kind=Kind.HANDED_OVER.value,
            name=announced.name.strip(),
            scope=announced.scope.strip(),
            media_type=announced.media_type.lower(),
            filters={},
            status=Status.PROCESSING.value,
            expected_size=announced.size,
            expected_sha256=announced.sha256,
            progress=0,
            progress_of=announced.size,
            sealed_key="",
            requested_at=now,
            started_at=now,
        )
        export.membership = membership
        tx.add(export)
        tx.flush()
        self.life.record(tx, Event.EXPORT_REQUESTED, export)
        return export

    def find(self, tx: Session, client_id: str, export_id: str) -> Export | None:
        """An export that this very client announced."""
        return find(tx, export_id, Export.client_id == client_id)

    def begin(self, tx: Session, export: Export) -> Receiving | None:
        """Make ready to receive: a new name in the store, so that a transfer which broke off can never become the file.

        None: it has ended.
        """
        file_id, before = new_id(), export.file_id
        begun = tx.execute(
            update(Export)
            .where(Export.id == export.id, Export.status.in_(OPEN), Export.file_id.is_not_distinct_from(before))
            .values(file_id=file_id, progress=0)
            .returning(Export.id)
        ).one_or_none()
        if begun is None:
            return None
        tx.refresh(export)
        return Receiving(file_id, (before,) if before else ())

    def received(self, tx: Session, export: Export, file_id: str, done: int) -> bool:
        """So many bytes are there; tell it every few seconds at most. False: stop, this transfer counts no more."""
        counted = tx.execute(
            update(Export)
            .where(Export.id == export.id, Export.status.in_(OPEN), Export.file_id == file_id)
            .values(progress=done)
            .returning(Export.id)
        )
        return counted.one_or_none() is not None

    def complete(self, tx: Session, export: Export, file_id: str, stored: StoredFile) -> Outcome:
        """The file is in the store: the person may download it, if it is what was announced and they still may."""
        if not self.life.may_have(export):
            self.life.lose(tx, export)
            return Outcome.NO_ACCESS
        wanted_size, wanted_digest = export.expected_size, export.expected_sha256
        if (wanted_size not in (None, stored.size)) or (wanted_digest not in (None, stored.sha256)):
            return Outcome.NOT_AS_ANNOUNCED
        return Outcome.DONE if self.life.ready(tx, export, file_id, stored) else Outcome.OVER

    def fail(self, tx: Session, export: Export, reason: Reason = Reason.NOT_HANDED_OVER) -> bool:
        """The client gives up. False: it had ended already."""
        return self.life.fail(tx, export, reason)

    def overdue(self, now: datetime) -> datetime:
        """What was announced before this instant and is not there yet, has failed."""
        return now - self.life.policy.handed_over_within

    def _why_not(self, announced: Announced) -> Refused | None:
        if not _is_line(announced.name) or not announced.name.strip():
            return Refused.BAD_NAME
        if not _is_line(announced.scope):
            return Refused.BAD_SCOPE
        if not MEDIA_TYPE.fullmatch(announced.media_type) or len(announced.media_type) > 100:
            return Refused.BAD_MEDIA_TYPE
        if announced.sha256 is not None and not SHA256.fullmatch(announced.sha256):
            return Refused.BAD_DIGEST
        if announced.size is not None and announced.size < 0:
            return Refused.BAD_SIZE
        if announced.size is not None and announced.size > self.largest:
            return Refused.TOO_LARGE
        return None

    @property
    def largest(self) -> int:
        """The most bytes a file may have; stop receiving there, and `fail` with TOO_LARGE."""
        return self.life.policy.largest_mib * MIB


def _membership(tx: Session, account_id: str, user_id: str) -> Membership | None:
    """As whom this person has exports in this account: the membership with Sensitive Data Access."""
    if not is_id(user_id):
        return None
    return tx.scalars(
        select(Membership)
        .where(Membership.account_id == account_id, Membership.user_id == user_id)
        .order_by(Membership.sensitive_data_access.desc(), Membership.audience != Audience.TEAM)
        .limit(1)
    ).one_or_none()


def _is_line(text: str) -> bool:
    """One line of printable characters: it is shown, mailed and becomes a file's name."""
    return len(text) <= LONGEST_NAME and text.isprintable()
