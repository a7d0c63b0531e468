"""`authsvc keys rehearse`: who would take a new key, asked over real HTTP, with nothing left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from flask import Flask, Response
from werkzeug.serving import make_server

from authsvc.clock import FixedClock
from authsvc.keyring.schedule import KeyState, state
from authsvc.resource_server import Requirement, TokenVerifier
from authsvc.resource_server.flask import protect
from tests.support.key_ring import Operator
from tests.support.processes import free_port
from tests.support.service import API, Service


@contextmanager
def served(app: Callable[..., object], port: int) -> Iterator[str]:
    """A WSGI application on a port."""
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}/investors"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def microservice(issuer: str, clock: FixedClock, requirement: Requirement) -> Flask:
    """A service that trusts us through the kit."""
    app, now = Flask("microservice"), lambda: clock.now().timestamp()
    verify = TokenVerifier(issuer, API, now=now)

    @app.get("/investors")
    @protect(verify, requirement)
    def investors() -> str:
        return "ok"

    return app


def answering(status: int, **headers: str) -> Flask:
    """A service that says the same to everybody."""
    app = Flask("stubborn")
    app.add_url_rule("/investors", view_func=lambda: Response("x", status, headers))
    return app


@pytest.fixture
def operator(database_url: str, clock: FixedClock) -> Iterator[Operator]:
    """An installation that answers on its own address, as verifiers find it."""
    port = free_port()
    made = Operator.of(database_url, clock)
    made.environment["AUTHSVC_ISSUER"] = f"http://127.0.0.1:{port}"
    made.service.services.database.dispose()
    made.service = Service.on(database_url, clock=clock, ring=made.ring, issuer=made.environment["AUTHSVC_ISSUER"])
    with served(made.service.app, port):
        yield made
    made.close()


def candidates(operator: Operator) -> list[KeyState]:
    """What has become of keys that never sign."""
    operator.service.pass_time(seconds=10)
    now = operator.service.clock.now()
    return [state(entry, now) for entry in operator.ring.entries() if entry.use_until is not None]


def test_without_verifiers_the_kit_itself_is_asked(operator: Operator) -> None:
    """A ring whose new keys would not verify is found out before any service meets one."""
    report = operator.read("keys", "rehearse")
    assert [each["verdict"] for each in report["verifiers"]] == ["accepted"]
    assert candidates(operator) == [KeyState.GONE]
    [row] = operator.service.events("key.rehearsed")
    assert row.fields == {"algorithm": "ES256", "kid": report["candidate"], "verifiers": 1, "accepted": 1}
    assert operator.run("keys", "rehearse", "--alg", "RS256").exit_code == 0


def test_services_that_check_tokens_are_asked_over_http(operator: Operator, clock: FixedClock) -> None:
    """2xx, a scope that is missing and a sign-in that is too weak all mean: the new key was found and believed."""
    issuer = operator.environment["AUTHSVC_ISSUER"]
    wants = [Requirement(), Requirement(scope="investors.read"), Requirement(acr="urn:ims:acr:two-step")]
    with (
        notices_at_once(operator),
        served(microservice(issuer, clock, wants[0]), free_port()) as first,
        served(microservice(issuer, clock, wants[1]), free_port()) as second,
        served(microservice(issuer, clock, wants[2]), free_port()) as third,
    ):
        asked = [argument for url in (first, second, third) for argument in ("--verifier", url)]
        report = operator.read("keys", "rehearse", "--audience", API, *asked)
    assert [(each["verifier"], each["verdict"]) for each in report["verifiers"]] == [
        ("authsvc.resource_server, with this ring", "accepted"),
        ("authsvc.resource_server, over HTTP", "accepted"),
        (first, "accepted"),
        (second, "accepted"),
        (third, "accepted"),
    ]
    assert candidates(operator) == [KeyState.GONE]


def test_a_service_that_would_not_do_is_told_apart(operator: Operator) -> None:
    """Refuses the new key; checks nothing at all; is not there: exit 1, and the candidate is withdrawn all the same."""
    with (
        notices_at_once(operator),
        served(answering(401, **{"WWW-Authenticate": 'Bearer error="invalid_token"'}), free_port()) as stubborn,
        served(answering(200), free_port()) as careless,
        served(answering(302, Location="/elsewhere"), free_port()) as moved,
    ):
        nobody = f"http://127.0.0.1:{free_port()}/"
        asked = [argument for url in (stubborn, careless, moved, nobody) for argument in ("--verifier", url)]
        result = operator.run("keys", "rehearse", "--wait", "0", *asked)
    assert result.exit_code == 1
    for url, verdict in (
        (stubborn, "refused"),
        (careless, "checks nothing"),
        (moved, "no answer"),
        (nobody, "no answer"),
    ):
        assert any(line.startswith(url) and f"  {verdict}  after" in line for line in result.stdout.splitlines())
    assert "Do not shorten keys.publish_ahead" in result.stdout
    assert candidates(operator) == [KeyState.GONE]


def test_a_canary_is_never_sent_in_the_clear(operator: Operator) -> None:
    """Elsewhere than on this machine an address must be https; said before anything is published."""
    result = operator.run("keys", "rehearse", "--verifier", "http://api.ims.example/")
    assert result.exit_code == 2
    assert "must be https" in result.stderr
    assert candidates(operator) == []


@contextmanager
def notices_at_once(operator: Operator) -> Iterator[None]:
    """The clock of the processes runs on while the operator's stands: they look at the ring all the time."""
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.05):
            operator.ring._reread()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)
