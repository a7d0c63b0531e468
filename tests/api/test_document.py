"""The OpenAPI 3.1 document and the routes are one table; errors under /api are problems (RFC 9457)."""

from __future__ import annotations

import re

from openapi_spec_validator import OpenAPIV31SpecValidator

from authsvc.accounts.api_scopes import API_SCOPES
from authsvc.api.operations import OPERATIONS
from tests.api.conftest import World
from tests.support.api import published
from tests.support.databases import ON_SQLITE
from tests.support.service import ISSUER

OWN = "/api/openapi.json"


@ON_SQLITE
def test_the_document_is_openapi_3_1_and_for_anybody(world: World) -> None:
    """Valid by the specification's own schema; served without a token, as it was made."""
    answer = world.service.machine().get(OWN, base_url=ISSUER)
    assert answer.status_code == 200
    assert answer.json == published()
    OpenAPIV31SpecValidator(published()).validate()  # type: ignore[arg-type]


@ON_SQLITE
def test_every_route_is_in_the_document_and_every_operation_a_route(world: World) -> None:
    """Both ways; ids of operations are used once, and their scopes are those of discovery."""
    routes = {
        (method, re.sub(r"<(\w+)>", r"{\1}", str(rule)))
        for rule in world.service.app.url_map.iter_rules()
        if str(rule).startswith("/api/") and str(rule) != OWN
        for method in (rule.methods or set()) - {"HEAD"}
    }
    described = {(method.upper(), path) for path, methods in published()["paths"].items() for method in methods}
    assert routes == described
    assert len({operation.name for operation in OPERATIONS}) == len(OPERATIONS) == len(routes)
    assert {operation.scope for operation in OPERATIONS} == set(API_SCOPES)
    discovery = world.service.machine().get("/.well-known/openid-configuration", base_url=ISSUER).json
    assert set(API_SCOPES) <= set((discovery or {})["scopes_supported"])


def test_rc12_no_operation_takes_a_password_an_address_or_a_proof() -> None:
    """Nothing lets anybody set a password, phone or verification; an email only of somebody who is added."""
    bodies = {operation.name: set(operation.body.model_fields) for operation in OPERATIONS if operation.body}
    forbidden = {"password", "password_hash", "phone", "email_verified", "sensitive_data_access", "view_only"}
    assert not {name for name, fields in bodies.items() if fields & forbidden}
    assert [name for name, fields in bodies.items() if "email" in fields] == ["addMember"]


def test_errors_are_problems_everywhere(world: World) -> None:
    """404 of unknown paths, 405 with Allow, 413, 415; with a token, without one, and with a POST from another site."""
    desk = world.desk
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert desk.call("GET", "/nothing").status_code == 404
    assert desk.call("POST", "/api/", token="", headers=foreign).status_code == 404
    other = desk.call("DELETE", "/members", token="")
    assert (other.status_code, other.headers["Allow"]) == (405, "GET, HEAD, POST")
    assert desk.call("OPTIONS", "/members", headers=foreign).status_code == 405
    assert desk.call("POST", "/members", data=b"{" * 70_000, content_type="application/json").status_code == 413
    assert desk.call("POST", "/members", data=b"{}", content_type="text/plain").status_code == 415
    assert desk.call("POST", "/members", data=b"{", content_type="application/json").status_code == 400
    assert desk.call("GET", "/members?limit=1&limit=2").status_code == 400
    assert desk.call("GET", "/members?sort=name").status_code == 400
    assert desk.call("GET", "/members?limit=201").status_code == 400
    assert desk.call("DELETE", f"/members/{world.priya.id}/data-access", data=b"x").status_code == 400


def test_cookies_count_for_nothing(world: World) -> None:
    """A signed-in admin's browser calls without a token: 401, whatever it sends along."""
    person = world.service.person()
    world.service.set_mfa(world.northgate, "")
    world.service.sign_in(person)
    answer = person.post("/api/v1/members", {})
    assert answer.status_code == 401


def test_the_database_away_is_503(world: World) -> None:
    """With Retry-After, and no word of our inside."""
    engines = [replica.database.engine for replica in world.service.replicas]
    held = [engine.connect() for engine in engines for _ in range(engine.pool.size())]  # type: ignore[attr-defined]
    try:
        answer = world.desk.call("GET", "/accounts")
    finally:
        for connection in held:
            connection.close()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
