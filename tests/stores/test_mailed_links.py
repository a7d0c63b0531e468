"""Links in mails: one use, the newest alone, for the address they went to (security.md RC-02, RC-06, RC-10)."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from authsvc.accounts.links import Links, LinkState, Purpose
from authsvc.accounts.models import EmailAddress, MailedLink, User
from tests.support.service import Service


def dana(service: Service) -> str:
    """Dana's id."""
    return service.member(service.account()).user_id


def issue(service: Service, user_id: str, purpose: Purpose = "reset") -> str:
    """A new link's secret."""
    links = service.services.links
    with service.services.database.transaction() as tx:
        link = links.issue(tx, tx.get_one(User, user_id), purpose)
    return links.secret(purpose, link.id)


def state(service: Service, secret: str, purpose: Purpose = "reset") -> LinkState:
    """What it is good for now."""
    with service.services.database.transaction(read_only=True) as tx:
        return service.services.links.look(tx, secret, purpose).state


def use(service: Service, secret: str, purpose: Purpose = "reset") -> bool:
    """Whether it could be spent."""
    with service.services.database.transaction() as tx:
        return service.services.links.use(tx, secret, purpose) is not None


def test_rc_02_a_link_is_used_once(service: Service) -> None:
    """ASVS 6.4.1: single-use."""
    secret = issue(service, dana(service))
    assert state(service, secret) is LinkState.USABLE
    assert use(service, secret)
    assert not use(service, secret)
    assert state(service, secret) is LinkState.USED


def test_rc_02_of_many_who_use_it_at_once_one_wins(service: Service) -> None:
    """One conditional UPDATE, on real connections."""
    user_id = dana(service)
    for _ in range(5):
        secret = issue(service, user_id)
        assert sum(service.at_once(*[lambda secret=secret: use(service, secret)] * 8)) == 1


def test_rc_02_the_newest_alone_counts(service: Service) -> None:
    """An earlier one says that there is a newer one."""
    user_id = dana(service)
    first, second = issue(service, user_id), issue(service, user_id)
    assert (state(service, first), state(service, second)) == (LinkState.SUPERSEDED, LinkState.USABLE)
    assert not use(service, first)
    assert use(service, second)


def test_of_links_issued_at_once_one_alone_is_open(service: Service) -> None:
    """Each must see the other, to void it."""
    user_id = dana(service)
    service.at_once(*[lambda: issue(service, user_id)] * 8)
    with service.services.database.transaction(read_only=True) as tx:
        assert len(tx.scalars(select(MailedLink).where(MailedLink.voided_at.is_(None))).all()) == 1


def test_each_notice_keeps_its_own_link(service: Service) -> None:
    """A second notice does not take "this was not me" out of the first."""
    user_id = dana(service)
    first, second = issue(service, user_id, "not_me"), issue(service, user_id, "not_me")
    assert use(service, first, "not_me")
    assert use(service, second, "not_me")


def test_rc_02_it_works_as_long_as_it_says(service: Service) -> None:
    """30 minutes, to the second (domain D15)."""
    secret = issue(service, dana(service))
    service.clock.advance(timedelta(minutes=30) - timedelta(seconds=1))
    assert state(service, secret) is LinkState.USABLE
    service.clock.advance(timedelta(seconds=1))
    assert state(service, secret) is LinkState.EXPIRED
    assert not use(service, secret)


def test_rc_10_it_counts_for_the_address_it_went_to(service: Service) -> None:
    """A mailbox that is the person's no more resets nothing and verifies nothing; a notice of the change still works."""
    user_id = dana(service)
    secrets = {purpose: issue(service, user_id, purpose) for purpose in ("reset", "verify_email", "not_me")}
    with service.services.database.transaction() as tx:
        email = tx.get_one(EmailAddress, user_id)
        email.address = email.canonical = "dana@elsewhere.example"
    assert state(service, secrets["reset"]) is LinkState.SUPERSEDED
    assert not use(service, secrets["reset"])
    assert not use(service, secrets["verify_email"], "verify_email")
    assert use(service, secrets["not_me"], "not_me")


def test_az_13_a_link_of_one_kind_is_none_of_another(service: Service) -> None:
    """And whatever was cut, added or made up is damaged."""
    secret = issue(service, dana(service), "verify_email")
    for typed in (secret, secret[:-1], secret + "0", secret.upper(), "", "\0" * 64, "x" * 64, "é" * 64, "0" * 64):
        assert state(service, typed, "reset") is LinkState.DAMAGED
        assert not use(service, typed, "reset")
    assert state(service, secret, "verify_email") is LinkState.USABLE


def test_the_database_holds_no_link(service: Service) -> None:
    """Neither the row nor the job: the worker derives the secret when it sends."""
    user_id = dana(service)
    with service.services.database.transaction() as tx:
        service.services.courier.send_link(
            tx, "reset", user_id=user_id, account_id=None, at=service.clock.now(), browser="Chrome on macOS"
        )
    before = service.everything_stored()
    service.deliver()
    mail = service.emails.messages[-1]
    secret = mail.text.partition("/reset/")[2].split()[0]
    assert mail.text.count(f"{service.services.settings.issuer}/reset/{secret}") == 1
    assert state(service, secret) is LinkState.USABLE
    assert secret not in before + service.everything_stored()


def test_links_are_forgotten_in_the_end(service: Service) -> None:
    """A month after they ran out; until then they say so."""
    user_id = dana(service)
    issue(service, user_id)
    links: Links = service.services.links
    for days, left in ((29, 1), (2, 0)):
        service.clock.advance(timedelta(days=days, hours=1))
        with service.services.database.transaction() as tx:
            links.sweep(tx, now=service.clock.now())
            assert len(tx.scalars(select(MailedLink)).all()) == left
