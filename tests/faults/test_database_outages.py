"""PostgreSQL stopped, turned into a reader, silent, cut: 503 and nothing worse, and back without a restart of ours.

A server of this file's own, and a proxy before it. P5 and P6 are those of security.md 4.5.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import text

from authsvc.clock import FixedClock
from authsvc.db import Database, DatabaseUnavailable
from tests.support import migrate
from tests.support.journey import Page, Person
from tests.support.postgres import Emptier, OwnServer
from tests.support.processes import poll
from tests.support.proxy import Mode, Proxy, proxy_to
from tests.support.service import CLIENT_SECRET, DANA, Service, make_ring, pkce


@pytest.fixture(scope="module")
def server(worker_folder: Path) -> Iterator[OwnServer]:
    """One server for this file, migrated."""
    started = OwnServer(worker_folder / "own-postgres")
    migrate(started.url)
    yield started
    started.stop()


@pytest.fixture(scope="module")
def emptier(server: OwnServer) -> Iterator[Emptier]:
    """What empties it between tests."""
    emptier = Emptier(server.url)
    yield emptier
    emptier.close()


@pytest.fixture
def proxy(server: OwnServer) -> Iterator[Proxy]:
    """The way to it."""
    with proxy_to(server.socket) as opened:
        yield opened


@pytest.fixture
def url(proxy: Proxy) -> str:
    """Address of the database behind the proxy."""
    return f"postgresql://postgres:{quote('none')}@127.0.0.1:{proxy.port}/postgres"


@pytest.fixture
def service(emptier: Emptier, url: str, clock: FixedClock, ring_folder: Path) -> Iterator[Service]:
    """The service behind the proxy, with one account, one person and the portal."""
    emptier.empty()
    service = Service.on(url, clock=clock, ring=make_ring(ring_folder, clock))
    service.member(service.account(mfa="email"))
    service.client()
    yield service
    service.services.database.dispose()


def signed_in_at(service: Service) -> Person:
    """Somebody who is signed in."""
    person = service.person()
    service.sign_in(person)
    assert person.submit(code=service.code_for(DANA)).h1 == "You’re signed in"
    return person


def assert_unavailable(page: Page) -> None:
    """503 with Retry-After, in our words; no cookie is touched, so the form can be sent again."""
    assert page.status == 503, (page.status, page.text)
    assert page.h1 == "Sign-in is briefly unavailable"
    assert int(page.response.headers["Retry-After"]) > 0
    assert "Set-Cookie" not in page.response.headers


def assert_degraded(service: Service, refresh_token: str) -> None:
    """What machines hear while the database is away: never 401, 404 or inactive; keys and discovery as ever."""
    refused = service.token(grant_type="refresh_token", refresh_token=refresh_token)
    assert (refused.status_code, refused.json["error"]) == (503, "temporarily_unavailable")
    machine, at = service.machine(), service.services.settings.issuer
    for path in ("/oauth/jwks", "/.well-known/openid-configuration", "/healthz"):
        assert machine.get(path, base_url=at).status_code == 200, path
    asked = machine.post(
        "/oauth/introspect", base_url=at, data={"token": refresh_token}, auth=("ims-portal", CLIENT_SECRET)
    )
    assert asked.status_code == 503
    assert machine.get("/readyz", base_url=at).status_code == 503


def tokens_of(service: Service, person: Person) -> str:
    """A refresh token for somebody who signed in."""
    verifier, challenge = pkce()
    person.open("/oauth/authorize", **service.authorization_request(challenge))
    token: str = service.redeem(person, verifier)["refresh_token"]
    return token


def test_p5_a_stopped_database_is_503_and_is_met_again_at_once(server: OwnServer, service: Service) -> None:
    """P5: 0 of 401, 404 and cleared cookies; the first request after its start succeeds; everybody is where they were."""
    signed_in, under_way = signed_in_at(service), service.person()
    refresh_token = tokens_of(service, signed_in)
    service.pass_time(minutes=1)
    service.sign_in(under_way)
    at_the_code, code = under_way.here, service.code_for(DANA)

    server.stop()
    try:
        for _ in range(3):
            assert_unavailable(signed_in.open("/profile"))
            assert_unavailable(under_way.open("/sign-in/code"))
            under_way.page = at_the_code
            assert_unavailable(under_way.submit(code=code))
        assert_degraded(service, refresh_token)
    finally:
        server.start()
    began = time.monotonic()
    page = signed_in.open("/profile")
    took = time.monotonic() - began
    assert (page.status, page.h1) == (200, "My Profile")
    assert took < 5
    under_way.page = at_the_code
    assert under_way.submit(code=code).h1 == "You’re signed in"
    assert service.token(grant_type="refresh_token", refresh_token=refresh_token).status_code == 200
    print(f"\nP5: first success {took:.2f} s after the server took connections")  # noqa: T201 - the figure


def test_a_database_that_was_restarted_while_nobody_asked_costs_nobody_a_page(
    server: OwnServer, service: Service
) -> None:
    """What the old server said last is heard before a connection is used again."""
    person = signed_in_at(service)
    server.stop()
    server.start()
    assert person.open("/profile").status == 200


def test_p6_a_database_that_takes_no_writes_is_503_until_it_does(server: OwnServer, service: Service) -> None:
    """P6: recovery within 10 s without a restart of ours; the probe is not healthy meanwhile; never a 401, 404 or 500."""
    person = signed_in_at(service)
    refresh_token = tokens_of(service, person)
    server.read_only(True)
    try:
        refused = lambda: service.token(grant_type="refresh_token", refresh_token=refresh_token)  # noqa: E731
        poll(lambda: refused().status_code == 503, 30, what="the read-only server to be noticed")
        newcomer = service.person()
        service.sign_in(newcomer)
        assert_unavailable(newcomer.here)
        assert_unavailable(person.open("/profile"))
        assert_degraded(service, refresh_token)
    finally:
        server.read_only(False)
    began = time.monotonic()
    poll(lambda: person.open("/profile").status == 200, 10, what="recovery")
    took = time.monotonic() - began
    assert refused().status_code == 200
    print(f"\nP6: recovered after {took:.2f} s")  # noqa: T201 - the figure


def test_a_code_whose_commit_was_acknowledged_to_nobody_signs_in_once(service: Service, proxy: Proxy) -> None:
    """Lost COMMIT acknowledgement (security.md 4.4): 503, and the same form sent again is signed in, into one session."""
    person = service.person()
    service.sign_in(person)
    at_the_code, code = person.here, service.code_for(DANA)
    proxy.swallow_reply_to = b"COMMIT"
    assert_unavailable(person.submit(code=code))
    assert proxy.swallowed == 1
    person.page = at_the_code
    assert person.submit(code=code).h1 == "You’re signed in"
    assert len(service.events("session.started")) == 1
    assert len(service.events("code.accepted")) == 1


def test_a_refresh_whose_commit_was_acknowledged_to_nobody_has_one_successor(service: Service, proxy: Proxy) -> None:
    """P3: the client that repeats its request gets the one successor; nothing is taken for reuse."""
    parent = tokens_of(service, signed_in_at(service))
    proxy.swallow_reply_to = b"COMMIT"
    lost = service.token(grant_type="refresh_token", refresh_token=parent)
    assert (lost.status_code, proxy.swallowed) == (503, 1)
    again, third = (service.token(grant_type="refresh_token", refresh_token=parent) for _ in range(2))
    assert (again.status_code, third.status_code) == (200, 200)
    assert again.json["refresh_token"] == third.json["refresh_token"]
    assert service.events("token.refresh_reused") == []


def answers(database: Database) -> bool:
    """Whether it does now; what cut the line may still be on its way."""
    with suppress(DatabaseUnavailable):
        database.ping()
        return True
    return False


def test_a_server_that_says_nothing_is_given_up(url: str, proxy: Proxy) -> None:
    """Frozen, or behind a cut line: a statement's time-out is the server's own, so we keep one too. Then it is met again."""
    database = Database(url, pool=2, statement_s=0.3)
    database.ping()
    proxy.mode = Mode.BLACK_HOLE
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable):
        database.ping()
    assert time.monotonic() - began < 3
    proxy.mode = Mode.PASS
    database.ping()
    proxy.reset_all()
    poll(lambda: answers(database), what="the database behind a new connection")
    proxy.mode = Mode.RESET
    proxy.reset_all()
    with pytest.raises(DatabaseUnavailable):
        database.ping()
    database.dispose()


def test_a_pool_that_is_used_up_refuses_within_two_seconds(url: str) -> None:
    """SQLAlchemy would wait 30 s (security.md 4.4)."""
    database, is_over = Database(url, pool=1), threading.Event()
    has_it = threading.Event()

    def hold() -> None:
        with database.transaction() as tx:
            tx.execute(text("SELECT 1"))
            has_it.set()
            is_over.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    has_it.wait(30)
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable):
        database.ping()
    assert time.monotonic() - began < 3
    is_over.set()
    holder.join()
    database.ping()
    database.dispose()


@pytest.mark.parametrize(("statement_s", "is_patient"), [(0.2, False), (60.0, True)])
def test_a_slow_statement_is_ended_where_a_page_waits_and_not_in_a_command(
    url: str, statement_s: float, is_patient: bool
) -> None:
    """Pages answer or refuse; commands and the worker may take a minute."""
    database = Database(url, pool=1, statement_s=statement_s)
    slow = text("SELECT pg_sleep(0.5)")
    if is_patient:
        with database.transaction() as tx:
            tx.execute(slow)
    else:
        with pytest.raises(DatabaseUnavailable), database.transaction() as tx:
            tx.execute(slow)
    database.dispose()


def test_of_two_hosts_the_one_that_writes_is_used(proxy: Proxy, url: str) -> None:
    """`postgresql://user@/name?host=a:1&host=b:2`: a host that refuses is passed over."""
    with proxy_to(proxy.target) as dead:
        dead.mode = Mode.RESET
        both = f"postgresql://postgres@/postgres?host=127.0.0.1:{dead.port}&host=127.0.0.1:{proxy.port}"
        database = Database(both, pool=1)
        database.ping()
        database.dispose()
