"""The bell for other services: they add to it, and show a person the same one with the person's own token (ux.md S23)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from authsvc.accounts.models import Membership
from authsvc.api import reach
from authsvc.api.notification_schemas import (
    NewNotification,
    NotificationAdded,
    NotificationAnswer,
    NotificationList,
    NotificationsQuery,
    Seen,
    Unread,
)
from authsvc.api.operation import BASE, Call, Operation, Refused, next_page
from authsvc.audit import Event
from authsvc.notifications import Item, Kind, links
from authsvc.notifications.models import Notification
from authsvc.notifications.notify import Source

if TYPE_CHECKING:
    from authsvc.oauth.callers import Person

FOREIGN_LINK = "link: must be an address of the account's portal, with its scheme, host and port."


def add(call: Call) -> NotificationAdded:
    """Put one into a person's bell. By `key` once; so many an hour, whichever services they come from."""
    s, body, now = call.s, call.body, call.s.clock.now()
    membership = _recipient(call)
    if body.link is not None and not links.is_at(body.link, membership.account.portal_url):
        raise Refused(400, FOREIGN_LINK)
    source = Source(call.caller.client_id, body.key)
    values = {"title": body.title, "text": body.text or "", "label": body.label}
    wait = s.throttle.take(call.tx, "notifications_per_person", membership.id)
    if wait is None:
        added = s.notifications.notify(
            call.tx, membership=membership, kind=Kind(body.kind), values=values, link=body.link, source=source, now=now
        )
        if added is not None:
            about = {"user_id": membership.user_id, "account_id": membership.account_id}
            s.audit.record(call.tx, Event.NOTIFICATION_ADDED, **about, client_id=source.client_id, kind=body.kind)
            return NotificationAdded(changed=True, id=added)
        s.throttle.give_back(call.tx, "notifications_per_person", membership.id)
    before = s.notifications.added_as(call.tx, source) if body.key is not None else None
    if before is not None:
        return _again(before, membership, values, body.link)
    wait_s = max(1, round((wait.until - now).total_seconds())) if wait else 1
    raise Refused(429, "This person's bell is full enough for now.", retry_after_s=wait_s)


def show(call: Call) -> NotificationList:
    """The person's own, of the account in the token."""
    of, limit = _person(call).membership_id, call.query.limit
    found = call.s.notifications.page(call.tx, of, before=call.query.cursor, limit=limit + 1)
    page = found[:limit]
    return NotificationList(
        unread=call.s.notifications.unread(call.tx, of),
        items=[_shown(call, item) for item in page],
        next=next_page(call, "/notifications", page[-1].id) if len(found) > limit else None,
    )


def unread(call: Call) -> Unread:
    """The figure on the bell."""
    return Unread(unread=call.s.notifications.unread(call.tx, _person(call).membership_id))


def mark_seen(call: Call) -> Unread:
    """The bell was opened."""
    of = _person(call).membership_id
    call.s.notifications.mark_seen(call.tx, of, up_to=call.body.up_to, now=call.s.clock.now())
    return unread(call)


def _recipient(call: Call) -> Membership:
    """The active person of this account. Raises: Refused, with a row in the trail for somebody of an account out of reach."""
    account = reach.account(call, call.body.account)
    theirs = call.tx.scalars(select(Membership).where(Membership.user_id == call.body.person)).all()
    for one in theirs:
        if one.account_id == account.id and one.audience == call.body.audience and one.is_active:
            return one
    within = any(reach.may_touch(call, one.account) for one in theirs)
    raise Refused(404, foreign="member" if theirs and not within else None)


def _again(before: Notification, membership: Membership, values: dict[str, str], link: str | None) -> NotificationAdded:
    if (before.membership_id, before.told, before.link) != (membership.id, values, link):
        raise Refused(409, "Another notification has this key.", name="key-used")
    return NotificationAdded(changed=False, id=before.id)


def _person(call: Call) -> Person:
    if (person := call.caller.person) is None:
        raise AssertionError("the operation is of a person")
    return person


def _shown(call: Call, item: Item) -> NotificationAnswer:
    link = item.link
    if link is not None and links.is_ours(link):
        link = call.s.settings.issuer + link
    return NotificationAnswer(
        id=item.id,
        kind=item.kind.value,
        title=item.words.title,
        text=item.words.text,
        link=link,
        label=item.words.label if link else None,
        created_at=item.at,
        seen=not item.is_new,
    )


OPERATIONS = (
    Operation(
        "addNotification",
        "POST",
        f"{BASE}/notifications",
        "notifications.write",
        "Add to a person's bell",
        add,
        NotificationAdded,
        body=NewNotification,
        refusals=frozenset({404, 409}),
    ),
    Operation(
        "listNotifications",
        "GET",
        f"{BASE}/notifications",
        "notifications.read",
        "The person's own bell, the newest first",
        show,
        NotificationList,
        query=NotificationsQuery,
        of_person=True,
    ),
    Operation(
        "countNotifications",
        "GET",
        f"{BASE}/notifications/unread",
        "notifications.read",
        "How many the person has not seen",
        unread,
        Unread,
        of_person=True,
    ),
    Operation(
        "seeNotifications",
        "POST",
        f"{BASE}/notifications/seen",
        "notifications.read",
        "Mark the person's own seen, up to the newest that was shown",
        mark_seen,
        Unread,
        body=Seen,
        of_person=True,
    ),
)
