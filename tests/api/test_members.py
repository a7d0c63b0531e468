"""Team Members by API: each operation, and what nobody can do by it (security.md TN-03, TN-04, RC-12)."""

from __future__ import annotations

import pytest

from authsvc.audit.models import AuditEvent
from tests.api.conftest import PRIYA, World
from tests.support.api import Machine
from tests.support.service import DANA, DANAS_PHONE

NEW = {"account": "northgate", "name": "Noor Haddad", "email": "noor@northgate.example", "role": "member"}


def test_accounts_are_listed_and_shown(world: World) -> None:
    """With their switches and their team in numbers."""
    assert world.desk.get("/accounts")["items"][0]["name"] == "Northgate Capital Partners"
    one = world.desk.get("/accounts/northgate")
    assert one["team"] == {"active": 2, "unverified": 0, "waiting": 0, "inactive": 0}
    assert {switch["audience"]: switch["enabled"] for switch in one["mfa"]} == {"team": True, "investors": False}


def test_members_are_listed_page_by_page(world: World) -> None:
    """`next` leads through all of them, each once."""
    everywhere, found = Machine.on(world.service, "everywhere"), []
    page = everywhere.get("/members", limit=2)
    found += page["items"]
    assert page["next"].startswith("https://login.ims.test/api/v1/members?limit=2&cursor=")
    page = everywhere.get(page["next"].removeprefix("https://login.ims.test/api/v1"))
    assert page["next"] is None
    found += page["items"]
    assert sorted(one["id"] for one in found) == sorted([world.dana.id, world.priya.id, world.omar.id])
    slugs = everywhere.get("/accounts", limit=1)
    assert everywhere.get(slugs["next"].partition("/api/v1")[2])["items"][0]["slug"] == "northgate"


def test_one_member_is_shown_without_what_identifies_them_further(world: World) -> None:
    """The last two digits of the phone; no number, no hash, no secret."""
    one = world.desk.get(f"/members/{world.dana.id}")
    assert (one["email"], one["phone_ending"], one["email_verified"]) == (DANA, DANAS_PHONE[-2:], True)
    assert one["data_access_requests"] == []
    assert DANAS_PHONE not in str(one)


def test_a_sign_in_is_explained(world: World) -> None:
    """As `authsvc policy explain` does it."""
    found = world.desk.get(f"/members/{world.dana.id}/explain", acr="urn:ims:acr:two-step")
    assert (found["code_required"], found["methods"]) == (True, ["sms", "email"])
    assert not found["remembered_device_may_stand_in"]
    assert {"rule": "entry", "answer": "with the password", "decided_by": "the membership is active"} in found[
        "reasons"
    ]


def test_a_person_is_added_invited_and_withdrawn(world: World) -> None:
    """201, one mail; the same again is 200 and mails nothing; operator and client stand in the trail."""
    made = world.desk.post("/members", 201, **NEW)
    again = world.desk.post("/members", **NEW)
    member = made["member"]
    assert (made["changed"], again["changed"], again["member"]["id"]) == (True, False, member["id"])
    assert (member["state"], member["person"], member["email_verified"]) == ("waiting", None, None)
    assert member["invitation"] is not None
    soon = world.desk.post(f"/members/{member['id']}/invite")
    assert (soon["changed"], soon["until"] is not None) == (False, True)
    world.service.deliver()
    assert len(world.service.emails.to(NEW["email"])) == 1
    assert world.service.events("member.created")[-1].operator == "client:desk"
    assert world.desk.post(f"/members/{member['id']}/withdraw")["member"]["invitation"] is None
    assert not world.desk.post(f"/members/{member['id']}/withdraw")["changed"]
    world.service.pass_time(minutes=1)
    assert world.desk.post(f"/members/{member['id']}/invite")["changed"]


def test_rc09_adding_does_not_tell_whether_the_address_signs_in_elsewhere(world: World) -> None:
    """Of Omar, who is somebody at kestrel, northgate learns what it said itself."""
    known = world.desk.post("/members", 201, **{**NEW, "email": "omar@kestrel.example"})["member"]
    fresh = world.desk.post("/members", 201, **NEW)["member"]
    told = ("name", "person", "email_verified", "phone_ending", "last_sign_in_at", "state")
    assert [known[name] for name in told] == [fresh[name] for name in told]


def test_a_member_is_deactivated_and_reactivated(world: World) -> None:
    """TN-11; the second time nothing changes and nothing is written."""
    path = f"/members/{world.priya.id}"
    assert world.desk.post(f"{path}/deactivate")["member"]["state"] == "inactive"
    assert not world.desk.post(f"{path}/deactivate")["changed"]
    assert len(world.service.events("member.deactivated")) == 1
    assert world.desk.post(f"{path}/sign-out", 409)["type"] == "urn:ims:problem:inactive"
    assert world.desk.post(f"{path}/reactivate")["member"]["state"] == "active"
    assert not world.desk.post(f"{path}/reactivate")["changed"]


def test_sign_out_reset_and_password_link(world: World) -> None:
    """Help that sets nothing: the person is told, or does it themselves (RC-12)."""
    path = f"/members/{world.priya.id}"
    assert world.desk.post(f"{path}/sign-out")["changed"]
    assert world.desk.post(f"{path}/reset-second-step")["member"]["phone_ending"] is None
    assert world.desk.post(f"{path}/password-link")["changed"]
    world.service.deliver()
    assert len(world.service.emails.to(PRIYA)) == 2


def test_password_links_are_limited(world: World) -> None:
    """send_per_destination: five in ten minutes, then 429 with Retry-After."""
    for _ in range(5):
        world.desk.post(f"/members/{world.priya.id}/password-link")
    answer = world.desk.call("POST", f"/members/{world.priya.id}/password-link")
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 600


@pytest.mark.parametrize(
    "forged",
    [
        {"sensitive_data_access": True},
        {"password": "quiet harbor maple"},
        {"email_verified": True},
        {"phone": "+15125550199"},
        {"accepted_at": "2026-01-01T00:00:00Z"},
        {"account_id": "x"},
        {"invite": "yes"},
        {"role": "super_admin"},
        {"role": ["admin"]},
        {"name": "a\0b"},
        {"email": "two@a.example, three@b.example"},
        {"account": "North Gate"},
    ],
    ids=str,
)
def test_tn03_forged_and_wrong_fields_are_400(world: World, forged: dict[str, object]) -> None:
    """Extra fields, wrong types, roles that nobody is added in: nothing is made, and nothing of it is repeated."""
    answer = world.desk.call("POST", "/members", json={**NEW, **forged})
    assert answer.status_code == 400
    assert "quiet harbor" not in answer.text
    assert len(world.desk.get("/members")["items"]) == 2


def test_tn04_no_act_gives_sensitive_data_access_or_a_role(world: World) -> None:
    """Fields in the bodies of acts are refused, and there is no PATCH of a member."""
    path = f"/members/{world.priya.id}"
    assert world.desk.call("POST", f"{path}/reactivate", json={"sensitive_data_access": True}).status_code == 400
    assert world.desk.call("PATCH", path, json={"role": "super_admin"}).status_code == 405
    assert world.desk.call("PUT", f"{path}/password", json={"password": "x"}).status_code == 404
    assert not world.now(world.priya).sensitive_data_access


def test_nobody_is_added_to_a_closed_account(world: World) -> None:
    """409 says so."""
    with world.service.services.database.transaction() as tx:
        world.service.services.closing.close(tx, tx.merge(world.northgate, load=True))
    assert world.desk.post("/members", 409, **NEW)["type"] == "urn:ims:problem:account-closed"


def test_the_last_super_admin_stays(world: World) -> None:
    """Domain D12."""
    account = world.service.account("role", permission_model="role")
    boss = world.service.member(account, "boss@role.example", role="super_admin")
    everywhere = Machine.on(world.service, "everywhere")
    refused = everywhere.post(f"/members/{boss.id}/deactivate", 409)
    assert refused["type"] == "urn:ims:problem:last-super-admin"
    plain = {**NEW, "account": "role", "role": "member"}
    assert everywhere.post("/members", 409, **plain)["type"] == "urn:ims:problem:role-not-offered"


def test_two_who_add_the_same_address_at_once_make_one(world: World) -> None:
    """One 201, one that finds them there; never a 500."""
    answers = world.service.at_once(*[lambda: world.desk.call("POST", "/members", json=NEW).status_code] * 2)
    assert sorted(answers) == [200, 201]


def test_the_trail_is_searched_page_by_page(world: World) -> None:
    """By account, person, kind and time; newest first."""
    for member in (world.priya, world.dana):
        world.desk.post(f"/members/{member.id}/sign-out")
    found = world.desk.get("/audit", account="northgate", kind="member.signed_out", limit=1)
    assert found["items"][0]["person"] == world.dana.user_id
    assert found["items"][0]["operator"] == "client:desk"
    older = world.desk.get(found["next"].partition("/api/v1")[2])
    assert [row["person"] for row in older["items"]] == [world.priya.user_id]
    assert older["next"] is None
    person = world.desk.get("/audit", person=world.priya.user_id)
    assert {row["person"] for row in person["items"]} == {world.priya.user_id}
    late = {"from": "2027-01-01T00:00:00Z"}
    assert world.desk.get("/audit", **late)["items"] == []
    assert len(world.desk.get("/audit", to="2027-01-01T00:00:00-05:00")["items"]) >= 2


def test_tn14_rows_of_no_account_are_for_unlimited_clients(world: World) -> None:
    """A wrong password of Omar names him and no account."""
    with world.service.services.database.transaction() as tx:
        tx.add(
            AuditEvent(
                at=world.service.clock.now(),
                name="password.wrong",
                user_id=world.omar.user_id,
                remote_address="",
                user_agent="",
                request_id="",
                operator="",
                policy_hash="",
                fields={},
            )
        )
    assert world.desk.get("/audit", kind="password.wrong")["items"] == []
    everywhere = Machine.on(world.service, "everywhere")
    assert everywhere.get("/audit", kind="password.wrong")["items"][0]["account"] is None
