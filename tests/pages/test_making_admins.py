"""Who is an admin of a functionality-based account, changed by its admins (domain D32; security.md TN-04)."""

from __future__ import annotations

import pytest

from authsvc.account_settings.acting import SUPPORT, Actor, Outcome
from authsvc.accounts.models import Membership
from tests.support.service import DANA, PASSWORD, Service
from tests.support.team import PRIYA, THEO, admin, northgate


def role_of(service: Service, membership: Membership) -> str:
    """As it is now."""
    with service.services.database.transaction(read_only=True) as tx:
        return tx.get_one(Membership, membership.id).role


def test_d32_an_admin_makes_an_admin_and_ends_it(service: Service) -> None:
    """On the member's page, after a question; at once; in the trail with who did it; told by mail."""
    account, own, dana = northgate(service)
    priya = service.member(account, PRIYA)
    colleague = admin(service, account, PRIYA)
    assert colleague.open("/admin/team").status == 403
    assert "/make-admin" in dana.open(f"/admin/team/{priya.id}").response.text
    page = dana.open(f"/admin/team/{priya.id}/make-admin")
    assert "Make Priya an admin?" in page.text
    assert "They are an admin now." in dana.submit().text
    assert "/remove-admin" in dana.here.response.text
    assert colleague.open("/admin/team").status == 200
    (changed,) = service.events("member.role_changed")
    assert (changed.user_id, changed.account_id) == (priya.user_id, account.id)
    assert changed.fields == {"by": own.user_id, "before": "member", "after": "admin"}
    service.deliver()
    mail = service.emails.to(PRIYA)[-1]
    assert mail.subject == "Your role in Northgate was changed"
    assert "Dana changed your role" in mail.text
    assert "It is now Admin." in mail.text
    dana.open(f"/admin/team/{priya.id}/remove-admin")
    assert "They are no longer an admin." in dana.submit().text
    assert colleague.open("/admin/team").status == 403
    service.deliver()
    assert "It is now Team Member." in service.emails.to(PRIYA)[-1].text
    again = dana.post(f"/admin/team/{priya.id}/remove-admin", {"csrf_token": page.forms[0].fields["csrf_token"]})
    assert "done=admin-removed" in again.headers["Location"]
    assert len(service.events("member.role_changed")) == 2


def test_d32_tn04_not_oneself_not_by_a_member_not_of_who_waits(service: Service) -> None:
    """The page says why; a forged form changes nothing. With a role model of five, the Roles tab does it."""
    account, own, dana = northgate(service)
    priya = service.member(account, PRIYA)
    theo = service.member(account, THEO, accepted=False, password=None)
    dana.open(f"/admin/team/{own.id}/remove-admin")
    page = dana.submit()
    assert (page.status, "You can’t do this to yourself." in page.text) == (403, True)
    dana.open(f"/admin/team/{theo.id}/make-admin")
    assert dana.submit().status == 409
    member = admin(service, account, PRIYA)
    token = member.open("/sign-out").forms[0].fields["csrf_token"]
    assert member.post(f"/admin/team/{priya.id}/make-admin", {"csrf_token": token}).status_code == 403
    lakeside = service.account("lakeside", permission_model="role")
    service.member(lakeside, "lou@lakeside.example", role="super_admin", sensitive=True)
    ines = service.member(lakeside, "ines@lakeside.example", role="kpi_only")
    lou = admin(service, lakeside, "lou@lakeside.example")
    assert "/make-admin" not in lou.open(f"/admin/team/{ines.id}").response.text
    lou.open(f"/admin/team/{ines.id}/make-admin")
    assert lou.submit().status == 409
    roles = [role_of(service, one) for one in (own, priya, theo, ines)]
    assert roles == ["admin", "member", "member", "kpi_only"]
    assert service.events("member.role_changed") == []


def test_it_needs_a_recent_proof(service: Service) -> None:
    """Like every act on a person."""
    account, _, dana = northgate(service)
    priya = service.member(account, PRIYA)
    service.pass_time(minutes=16)
    assert dana.open(f"/admin/team/{priya.id}/make-admin").h1 == "Confirm it’s you"
    assert "Make Priya an admin?" in dana.submit(password=PASSWORD).text


def change(service: Service, actor: Membership | None, target: Membership) -> Outcome:
    """Take the role, as a page or an operator does, in a transaction of its own."""
    with service.services.database.transaction() as tx:
        who = Actor(tx.get_one(Membership, actor.id)) if actor else SUPPORT
        return service.services.roles.remove_admin(tx, tx.get_one(Membership, target.id), actor=who).outcome


@pytest.mark.parametrize("by", ["each other", "support"])
def test_d32_of_two_who_are_demoted_at_once_one_stays(service: Service, by: str) -> None:
    """Two admins demote each other; two operators demote both. Never is an account without an admin."""
    account = service.account()
    for number in range(5):
        both = [service.member(account, f"{name}-{number}@northgate.example", role="admin") for name in ("dana", "lou")]
        first, second = both if by == "each other" else (None, None)
        outcomes = service.at_once(
            lambda first=first, both=both: change(service, first, both[1]),
            lambda second=second, both=both: change(service, second, both[0]),
        )
        assert sorted(outcomes) == [Outcome.DONE, Outcome.LAST_ADMIN]
        assert sorted(role_of(service, one) for one in both) == ["admin", "member"]
        with service.services.database.transaction() as tx:
            for one in both:
                tx.get_one(Membership, one.id).role = "member"


def test_d32_an_inactive_admin_does_not_count(service: Service) -> None:
    """The last who can act stays."""
    account = service.account()
    dana = service.member(account, DANA, role="admin")
    service.member(account, PRIYA, role="admin", active=False)
    service.member(account, THEO, role="admin", accepted=False, password=None)
    assert change(service, None, dana) is Outcome.LAST_ADMIN
