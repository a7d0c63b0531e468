"""Whatever a caller sends, the answer is one that the document promises, and never a 500."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authsvc.api.operations import OPERATIONS
from tests.api.conftest import World
from tests.support.api import Machine
from tests.support.databases import ON_POSTGRESQL

pytestmark = ON_POSTGRESQL

#: Fields and parameters that are there, and one that is not.
NAMES = (
    *("account", "name", "email", "role", "invite", "metadata", "client_id", "resources", "overlap_hours", "nope"),
    *("title", "text", "link", "label", "key", "audience", "up_to"),
    *("limit", "cursor", "member", "person", "kind", "from", "to", "acr", "first_party", "minimum_acr"),
    *("scope", "media_type", "size", "sha256", "reason"),
)
TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            *("\0", "\ud800", "a" * 9000, "northgate", "kestrel", "9" * 5000, "-1", "0" * 32, "' OR 1=1 --", "../x"),
            *("2026-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", "1e999", "１２"),
        ]
    ),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)
WITH_BODY = [one for one in OPERATIONS if one.body]
READING = [one for one in OPERATIONS if one.reads_only]
FEW = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def machine(world: World) -> Machine:
    """Bound to no account, so that every path is open."""
    return Machine.on(world.service, "machine")


@FEW
@given(
    operation=st.sampled_from([one for one in OPERATIONS if one.body]),
    body=VALUES | st.dictionaries(st.sampled_from(NAMES), VALUES),
)
def test_tn03_no_body_breaks_it(machine: Machine, world: World, operation: Any, body: Any) -> None:
    """Any JSON at all to every operation that takes a body."""
    path = operation.path.replace("{member_id}", world.priya.id).replace("{client_id}", "desk")
    answer = machine.call(
        operation.method,
        path.replace("{request_id}", "0" * 32).replace("{export_id}", "0" * 32),
        data=json.dumps(body).encode(),
        content_type="application/json",
    )
    assert answer.status_code < 500, answer.text


@FEW
@given(
    operation=st.sampled_from([one for one in OPERATIONS if one.reads_only]),
    query=st.dictionaries(st.sampled_from(NAMES), TEXTS),
    name=TEXTS,
)
def test_no_query_and_no_path_breaks_it(machine: Machine, operation: Any, query: Any, name: str) -> None:
    """Any text in any parameter, and in the place of an id."""
    written = quote(name.encode("utf-8", "surrogatepass"), safe="")[:2000] or "x"
    path = operation.path
    for place in ("{member_id}", "{client_id}", "{slug}", "{export_id}"):
        path = path.replace(place, written)
    pairs = "&".join(f"{key}={quote(value.encode('utf-8', 'surrogatepass'))}" for key, value in query.items())
    headers = {"Authorization": f"Bearer {machine.token}"}
    machine.service.forget_addresses()
    answer = machine.service.machine().get(f"{path}?{pairs}", base_url="https://login.ims.test", headers=headers)
    assert answer.status_code < 429, (path, pairs, answer.text)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe",
        b'"\\ud800"',
        b"[" * 20_000,
        b'{"metadata": ' + b"9" * 6000 + b"}",
        b"null",
        b"NaN",
        b'{"a":1,"a":2}',
    ],
    ids=["no-utf8", "surrogate", "deep", "digits", "null", "nan", "twice"],
)
def test_bodies_that_are_hardly_json_are_400(machine: Machine, data: bytes) -> None:
    """Each answered, none repeated."""
    answer = machine.call("POST", "/clients", data=data, content_type="application/json")
    assert answer.status_code == 400


@pytest.mark.parametrize("token", ["\xe9", "a" * 20_000, "a.b", "..", "eyJhbGciOiJub25lIn0.e30."])
def test_strange_tokens_are_401(machine: Machine, token: str) -> None:
    """Not ours, not a token, too long, unsigned."""
    assert machine.call("GET", "/accounts", token=token).status_code == 401
