"""Add to a bell, look at it, mark it seen, forget what is old."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from authsvc import errors
from authsvc.accounts.models import Membership
from authsvc.notifications import links
from authsvc.notifications.kinds import OF_OTHERS, Kind, Words, short, words
from authsvc.notifications.models import Notification, first_id, id_at
from authsvc.policy.schema import NotificationPolicy

#: How many the bell itself shows; the page has the rest.
IN_THE_BELL = 5


class ForeignLink(errors.AuthsvcError):
    """A notification was to lead to somewhere that is neither a page of ours nor the account's portal."""


@dataclass(frozen=True)
class Item:
    """One entry, as it is read."""

    id: str
    kind: Kind
    words: Words
    link: str | None
    at: datetime
    is_new: bool


@dataclass(frozen=True)
class Bell:
    """How many are new, and the latest."""

    unread: int
    latest: tuple[Item, ...]


@dataclass(frozen=True)
class Source:
    """The client that adds one; `key`: its own name for it."""

    client_id: str
    key: str | None


@dataclass(frozen=True)
class Notifications:
    """Every bell. One belongs to a membership, so an account sees its own and no other's."""

    policy: NotificationPolicy

    def notify(
        self,
        tx: Session,
        *,
        membership: Membership,
        kind: Kind,
        values: Mapping[str, str],
        now: datetime,
        link: str | None = None,
        source: Source | None = None,
    ) -> str | None:
        """Put one into a person's bell; answers its id. None: the source has added one by this key before (one statement).

        `values`: what the kind has words for. `link`: a path of ours; for kinds that others add an address of the account's
        portal. Raises: ForeignLink, WrongValues: both are bugs of the caller.
        """
        fits = (
            links.is_at(link, membership.account.portal_url)
            if link and kind in OF_OTHERS
            else links.is_ours(link or "/")
        )
        if not fits:
            raise ForeignLink(detail=kind)
        insert = (sqlite if tx.get_bind().dialect.name == "sqlite" else postgresql).insert(Notification)
        added = tx.scalars(
            insert.values(
                id=id_at(now),
                membership_id=membership.id,
                kind=kind,
                told=short(kind, values),
                link=link,
                created_at=now,
                client_id=source.client_id if source else None,
                client_key=source.key if source else None,
            )
            .on_conflict_do_nothing(index_elements=["client_id", "client_key"])
            .returning(Notification.id)
        ).one_or_none()
        if added is not None:
            self._keep_the_newest(tx, membership.id)
        return added

    def bell(self, tx: Session, membership_id: str) -> Bell:
        """What the top bar shows. One statement."""
        unread = select(func.count()).where(*_unseen(membership_id)).scalar_subquery()
        rows = tx.execute(_newest(membership_id).add_columns(unread).limit(IN_THE_BELL)).all()
        return Bell(rows[0][1] if rows else 0, tuple(_item(row) for row, _ in rows))

    def unread(self, tx: Session, membership_id: str) -> int:
        """How many were not seen yet."""
        return tx.scalar(select(func.count()).where(*_unseen(membership_id))) or 0

    def page(self, tx: Session, membership_id: str, *, before: str | None, limit: int) -> list[Item]:
        """The newest first. `before`: the id after which the page begins."""
        found = _newest(membership_id).limit(limit)
        return [_item(row) for row in tx.scalars(found.where(Notification.id < before) if before else found)]

    def mark_seen(self, tx: Session, membership_id: str, *, up_to: str, now: datetime) -> int:
        """Mark this one and every older one seen; what came meanwhile stays new. Answers how many were new until now."""
        marked = tx.scalars(
            update(Notification)
            .where(*_unseen(membership_id), Notification.id <= up_to)
            .values(seen_at=now)
            .returning(Notification.id)
            .execution_options(synchronize_session=False)
        )
        return len(marked.all())

    def added_as(self, tx: Session, source: Source) -> Notification | None:
        """What a source has added by this key."""
        return tx.scalars(
            select(Notification).where(
                Notification.client_id == source.client_id, Notification.client_key == source.key
            )
        ).one_or_none()

    def sweep(self, tx: Session, *, now: datetime) -> None:
        """Forget what is older than the policy keeps, seen or not."""
        tx.execute(delete(Notification).where(Notification.id < first_id(now - self.policy.kept)))

    def _keep_the_newest(self, tx: Session, membership_id: str) -> None:
        oldest = _newest(membership_id).with_only_columns(Notification.id).offset(self.policy.per_person - 1).limit(1)
        tx.execute(
            delete(Notification)
            .where(Notification.membership_id == membership_id, Notification.id < oldest.scalar_subquery())
            .execution_options(synchronize_session=False)
        )


def _newest(membership_id: str) -> Select[Notification]:
    return select(Notification).where(*_of(membership_id)).order_by(Notification.id.desc())


def _unseen(membership_id: str) -> tuple[ColumnElement[bool], ...]:
    return *_of(membership_id), Notification.seen_at.is_(None)


def _of(membership_id: str) -> tuple[ColumnElement[bool], ...]:
    # A replica of the next version may add kinds that this one has no words for yet.
    return Notification.membership_id == membership_id, Notification.kind.in_(list(Kind))


def _item(row: Notification) -> Item:
    kind = Kind(row.kind)
    return Item(row.id, kind, words(kind, row.told), row.link, row.created_at, row.seen_at is None)
