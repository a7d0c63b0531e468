"""Tokens, scopes and accounts (RFC 6750; security.md TN-01, TN-02, TN-13)."""

from __future__ import annotations

import re

import pytest

from authsvc.accounts.api_scopes import API_SCOPES
from authsvc.accounts.models import User
from authsvc.api.operation import Operation
from authsvc.api.operations import OPERATIONS
from authsvc.oauth.models import OAuthClient
from tests.api.conftest import World
from tests.support.api import EVERY_SCOPE, Machine
from tests.support.service import CLIENT_SECRET, DANA, ISSUER, PASSWORD, pkce

NOBODY = "0" * 32


def address(operation: Operation, name: str = NOBODY) -> str:
    """Its path with something in the places of ids."""
    return re.sub(r"\{\w+\}", name, operation.path)


def test_tn13_every_operation_asks_for_a_token_and_its_scope(world: World) -> None:
    """RFC 6750 3.1: 401 without a token or with a wrong one, 403 `insufficient_scope` that names the scope; a row each."""
    narrow = {
        scope: Machine.on(world.service, f"no-{scope}", scope=EVERY_SCOPE.replace(scope, "").strip().replace("  ", " "))
        for scope in API_SCOPES
    }
    for operation in OPERATIONS:
        path, machine = address(operation), narrow[operation.scope]

        bare = machine.call(operation.method, path, token="")
        wrong = machine.call(operation.method, path, token="x.y.z")
        short = machine.call(operation.method, path)

        assert [answer.status_code for answer in (bare, wrong, short)] == [401, 401, 403]
        assert bare.headers["WWW-Authenticate"] == f'Bearer realm="{ISSUER}"'
        assert 'error="invalid_token"' in wrong.headers["WWW-Authenticate"]
        assert f'error="insufficient_scope", scope="{operation.scope}"' in short.headers["WWW-Authenticate"]
        assert world.service.events("access.refused")[-1].fields == {"what": operation.name}
    assert world.service.events("client.authentication_failed")[-1].fields["endpoint"] == "api"


def test_a_token_for_an_api_of_others_is_none_for_us(world: World) -> None:
    """Its `aud` is not the issuer (RFC 9068 4)."""
    both = Machine.on(world.service, "both", scope="accounts.read investors.read")
    foreign = world.service.token(
        client=("both", CLIENT_SECRET), grant_type="client_credentials", scope="investors.read"
    )
    assert foreign.json
    assert both.call("GET", "/accounts").status_code == 200
    assert both.call("GET", "/accounts", token=foreign.json["access_token"]).status_code == 401


def test_a_token_ends_by_time_by_revocation_and_with_its_client(world: World) -> None:
    """Introspection's rules: expired, revoked and of a deactivated client are `invalid_token`."""
    desk, service = world.desk, world.service
    service.machine().post("/oauth/revoke", base_url=ISSUER, data={"token": desk.token}, auth=("desk", CLIENT_SECRET))
    assert desk.call("GET", "/accounts").status_code == 401
    desk.renew()
    assert desk.call("GET", "/accounts").status_code == 200
    service.pass_time(minutes=6)
    assert desk.call("GET", "/accounts").status_code == 401
    desk.renew()
    with service.services.database.transaction() as tx:
        service.services.registration.deactivate_client(tx, "desk", by="operator")
    assert desk.call("GET", "/accounts").status_code == 401


def test_a_scope_taken_from_the_client_is_gone_at_once(world: World) -> None:
    """TN-05: the token still says it."""
    with world.service.services.database.transaction() as tx:
        row = tx.get_one(OAuthClient, "desk")
        row.client_metadata = {**row.client_metadata, "scope": "members.read"}
    world.service.forget_clients()
    assert world.desk.call("GET", "/accounts").status_code == 403
    assert world.desk.call("GET", "/members").status_code == 200


def test_tn13_a_client_of_others_reaches_nothing(world: World) -> None:
    """Whatever scopes it came by; so one that registered itself is outside."""
    other = Machine.on(world.service, "other", first_party=False)
    answer = other.call("GET", "/accounts")
    assert answer.status_code == 403
    assert (answer.json or {})["type"] == "urn:ims:problem:third-party"


def test_a_persons_token_is_told_so(world: World) -> None:
    """403 with a problem of its own: this API takes machines."""
    service = world.service
    service.client(scope="openid members.read members.write")
    verifier, challenge = pkce()
    service.set_mfa(world.northgate, "")
    person = service.person()
    person.open(
        "/oauth/authorize", **service.authorization_request(challenge, scope="openid members.read members.write")
    )
    person.submit(email=DANA, password=PASSWORD)
    tokens = service.redeem(person, verifier)
    assert service.claims(tokens["access_token"])["aud"] == ISSUER
    answer = world.desk.call("GET", "/members", token=tokens["access_token"])
    assert answer.status_code == 403
    assert (answer.json or {})["type"] == "urn:ims:problem:no-machine"


def test_tn13_lists_hold_the_clients_own_accounts_alone(world: World) -> None:
    """The accounts in its row filter every query."""
    desk = world.desk
    assert [one["slug"] for one in desk.get("/accounts")["items"]] == ["northgate"]
    assert {one["account"] for one in desk.get("/members")["items"]} == {"northgate"}
    assert {one["account"] for one in desk.get("/audit", limit=200)["items"]} <= {"northgate"}
    everywhere = Machine.on(world.service, "everywhere")
    assert [one["slug"] for one in everywhere.get("/accounts")["items"]] == ["kestrel", "northgate"]
    assert {one["account"] for one in everywhere.get("/members")["items"]} == {"kestrel", "northgate"}
    nowhere = Machine.on(world.service, "nowhere", accounts=[])
    assert nowhere.get("/members")["items"] == nowhere.get("/audit")["items"] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/accounts/kestrel"),
        ("GET", "/members?account=kestrel"),
        ("GET", "/audit?account=kestrel"),
    ],
)
def test_tn01_another_account_is_not_found(world: World, method: str, path: str) -> None:
    """404 and a row; an account that is not there reads the same."""
    foreign = world.desk.call(method, path)
    missing = world.desk.call(method, path.replace("kestrel", "nowhere"))
    assert (foreign.status_code, missing.status_code) == (404, 404)
    drop = {"instance"}
    assert {k: v for k, v in (foreign.json or {}).items() if k not in drop} == {
        k: v for k, v in (missing.json or {}).items() if k not in drop
    }
    assert world.refused("account") == 1


def test_tn01_a_member_of_another_account_is_not_found(world: World) -> None:
    """Every route with a member's id: 404, a row, and nothing has changed or gone out."""
    before, operations = world.now(world.omar), [one for one in OPERATIONS if "{member_id}" in one.path]
    for operation in operations:
        assert world.desk.call(operation.method, address(operation, world.omar.id)).status_code == 404
        assert world.desk.call(operation.method, address(operation)).status_code == 404
    assert world.refused("member") == len(operations) >= 11
    after = world.now(world.omar)
    assert (after.deactivated_at, after.security_epoch) == (before.deactivated_at, before.security_epoch)
    world.service.deliver()
    assert world.service.emails.messages == []


def test_tn02_the_object_that_is_changed_decides(world: World) -> None:
    """An own account in the query, a foreign one in the body."""
    answer = world.desk.call(
        "POST",
        "/members?account=northgate",
        json={"account": "kestrel", "name": "A", "email": "a@b.example", "role": "admin"},
    )
    assert answer.status_code == 400, "a POST takes no query"
    new = {"account": "kestrel", "name": "A", "email": "a@b.example", "role": "admin"}
    assert world.desk.call("POST", "/members", json=new).status_code == 404
    assert world.refused("account") == 1


def test_tn02_a_second_step_that_guards_another_account_is_out_of_reach(world: World) -> None:
    """Priya joins kestrel too: the desk of northgate may no longer reset her; an unlimited one may."""
    with world.service.services.database.transaction(read_only=True) as tx:
        user = tx.get_one(User, world.priya.user_id)
    world.service.member(world.kestrel, user=user)
    path = f"/members/{world.priya.id}/reset-second-step"
    assert world.desk.post(path, 409)["type"] == "urn:ims:problem:belongs-elsewhere"
    assert Machine.on(world.service, "everywhere").post(path)["changed"]


def test_a_machine_that_calls_too_often_waits(world: World) -> None:
    """429 with Retry-After; policies/throttle.yaml, token_per_client."""
    headers = {"Authorization": f"Bearer {world.desk.token}"}
    machine = world.service.machine()
    answer = world.service.held_up(
        "api desk", lambda: machine.get("/api/v1/accounts?limit=0", base_url=ISSUER, headers=headers)
    )
    assert answer.headers["Retry-After"] == "1"
    assert answer.mimetype == "application/problem+json"


def test_wrong_tokens_from_one_address_wait_and_good_ones_do_not(world: World) -> None:
    """Ten a minute are answered and recorded."""
    machine = world.service.machine()
    wrong = [
        machine.get("/api/v1/accounts", base_url=ISSUER, headers={"Authorization": "Bearer no"}).status_code
        for _ in range(11)
    ]
    assert wrong == [401] * 10 + [429]
    good = machine.get("/api/v1/accounts", base_url=ISSUER, headers={"Authorization": f"Bearer {world.desk.token}"})
    assert good.status_code == 200
