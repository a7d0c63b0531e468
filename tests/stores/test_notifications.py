"""The bell as rows: whose they are, how many are kept, and what two at once come to."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import update

from authsvc.accounts.models import Membership
from authsvc.notifications import Kind
from authsvc.notifications.models import Notification
from authsvc.notifications.notify import Source
from tests.support.service import PORTAL, Service


def ring(
    service: Service, membership: Membership, key: str | None = None, title: str = "A K-1 is there."
) -> str | None:
    """The portal adds one."""
    s = service.services
    with s.database.transaction() as tx:
        return s.notifications.notify(
            tx,
            membership=tx.get_one(Membership, membership.id),
            kind=Kind.PORTAL,
            values={"title": title, "text": "", "label": "Open"},
            link=f"{PORTAL}/k-1",
            source=Source("portal", key),
            now=service.clock.now(),
        )


def titles(service: Service, membership: Membership) -> list[str]:
    """All that is kept, the newest first."""
    with service.services.database.transaction(read_only=True) as tx:
        found = service.services.notifications.page(tx, membership.id, before=None, limit=1000)
        return [item.words.title for item in found]


def test_tn14_a_bell_belongs_to_one_person_in_one_account(service: Service) -> None:
    """The same person in another account, and a colleague in this one, see nothing of it."""
    northgate, kestrel = service.account(), service.account("kestrel")
    dana = service.member(northgate)
    priya = service.member(northgate, "priya@northgate.example")
    with service.services.database.transaction(read_only=True) as tx:
        user = tx.get_one(Membership, dana.id).user
    elsewhere = service.member(kestrel, user=user)
    ring(service, dana)
    s = service.services.notifications
    with service.services.database.transaction() as tx:
        assert [s.bell(tx, one.id).unread for one in (dana, priya, elsewhere)] == [1, 0, 0]
        item = s.bell(tx, dana.id).latest[0]
        assert s.mark_seen(tx, priya.id, up_to=item.id, now=service.clock.now()) == 0
        assert s.unread(tx, dana.id) == 1


def test_what_came_after_the_last_look_stays_new(service: Service) -> None:
    """Seen is what was shown: nothing that came between the showing and the marking."""
    dana = service.member(service.account())
    ring(service, dana, title="First.")
    s = service.services.notifications
    with service.services.database.transaction(read_only=True) as tx:
        shown = s.bell(tx, dana.id).latest[0].id
    service.pass_time(seconds=1)
    ring(service, dana, title="Second.")
    with service.services.database.transaction() as tx:
        assert s.mark_seen(tx, dana.id, up_to=shown, now=service.clock.now()) == 1
        assert s.mark_seen(tx, dana.id, up_to=shown, now=service.clock.now()) == 0
        bell = s.bell(tx, dana.id)
    assert (bell.unread, [item.is_new for item in bell.latest]) == (1, [True, False])


def test_the_oldest_give_way_and_old_ones_go(service: Service) -> None:
    """policies/sessions.yaml, notifications: `per_person` at every adding, `kept` by the worker's sweep."""
    dana = service.member(service.account())
    kept = service.services.policies.sessions.notifications
    for number in range(kept.per_person + 3):
        service.pass_time(seconds=1)
        ring(service, dana, title=f"Number {number}.")
    found = titles(service, dana)
    assert (len(found), found[0], found[-1]) == (kept.per_person, f"Number {kept.per_person + 2}.", "Number 3.")
    with service.services.database.transaction() as tx:
        service.services.notifications.sweep(tx, now=service.clock.now() + kept.kept - timedelta(seconds=1))
    assert titles(service, dana) == found[:2]


def test_the_same_key_at_once_adds_one(service: Service) -> None:
    """One conditional INSERT: of two that come at once, one is told that it was there."""
    dana = service.member(service.account())
    answers = service.at_once(*[lambda: ring(service, dana, "k-1/2026")] * 4)
    assert len([one for one in answers if one is not None]) == 1
    assert len(titles(service, dana)) == 1
    ring(service, dana)
    ring(service, dana)
    assert len(titles(service, dana)) == 3, "without a key each is one of its own"


def test_a_kind_of_the_next_version_breaks_no_page_of_this_one(service: Service) -> None:
    """While replicas are replaced one by one, what a newer one has added is not shown by an older one."""
    dana = service.member(service.account())
    ring(service, dana)
    with service.services.database.transaction() as tx:
        tx.execute(update(Notification).values(kind="of_tomorrow"))
    ring(service, dana, title="Of today.")
    with service.services.database.transaction(read_only=True) as tx:
        bell = service.services.notifications.bell(tx, dana.id)
    assert (bell.unread, [item.words.title for item in bell.latest]) == (1, ["Of today."])
