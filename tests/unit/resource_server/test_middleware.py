"""The ASGI and the WSGI middleware: what gets through, and that everybody else is answered as by the Flask adapter."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from authsvc.resource_server import Requirement, TokenVerifier, asgi, wsgi
from authsvc.resource_server.flask import protect
from authsvc.resource_server.testing import MockIssuer, State
from authsvc.resource_server.verifier import Verifier
from tests.unit.resource_server.asgi_calls import completed, http_scope, received

READING = Requirement(scope="investors.read")
PAYING = Requirement(scope="investors.read", acr="urn:ims:acr:two-factor")
RULES: dict[str, Any] = {"paths": {"/payments": PAYING}, "open_paths": ["/healthz"], "realm": "investors"}
Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture
def verify(ims_issuer: MockIssuer) -> TokenVerifier:
    return ims_issuer.verifier()


@Request.application
def wsgi_app(request: Request) -> Response:
    """Says who came."""
    claims = request.environ.get("authsvc.claims")
    return Response(claims.sub if claims else "nobody")


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    """Says who came, to requests and to WebSockets."""
    if scope["type"] == "lifespan":
        await send({"type": "lifespan.startup.complete"})
        return
    claims = scope.get("authsvc.claims")
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": (claims.sub if claims else "nobody").encode()})


def through_wsgi(verify: Verifier, path: str, headers: Mapping[str, str], method: str = "GET") -> Answer:
    """The whole answer behind the WSGI middleware."""
    client = Client(wsgi.TokenMiddleware(wsgi_app, verify, READING, **RULES))
    path, _, query = path.partition("?")
    # Set behind the client's back: it would read `//payments` as a host.
    sent = {"PATH_INFO": path, "QUERY_STRING": query}
    answer = client.open("/", method=method, headers=headers, environ_overrides=sent)
    return answer.status_code, {name.lower(): value for name, value in answer.headers}, answer.data


def through_asgi(verify: Verifier, path: str, headers: Mapping[str, str], method: str = "GET", **scope: Any) -> Answer:
    """The whole answer behind the ASGI middleware."""
    app = asgi.TokenMiddleware(asgi_app, verify, READING, **RULES)
    start, body = completed(received(app, http_scope(path, headers, method=method, **scope)))
    return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, body["body"]


def through_flask(verify: Verifier, path: str, headers: Mapping[str, str], method: str = "GET") -> Answer:
    """The whole answer of decorated views with the same rules."""
    app = Flask("views")
    app.add_url_rule("/investors", view_func=protect(verify, READING, realm="investors")(lambda: "in"), endpoint="i")
    app.add_url_rule("/payments", view_func=protect(verify, PAYING, realm="investors")(lambda: "in"), endpoint="p")
    answer = app.test_client().open(path, method=method, headers=headers)
    return answer.status_code, {name.lower(): value for name, value in answer.headers}, answer.data


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


BOTH = pytest.mark.parametrize("through", [through_wsgi, through_asgi], ids=["wsgi", "asgi"])


@BOTH
def test_a_good_token_brings_its_claims_along(ims_issuer: MockIssuer, verify: TokenVerifier, through: Any) -> None:
    """In environ or scope under `authsvc.claims`."""
    token = ims_issuer.mint()
    assert through(verify, "/investors", bearer(token))[::2] == (200, verify(token).sub.encode())


@BOTH
def test_each_path_has_its_requirement(ims_issuer: MockIssuer, verify: TokenVerifier, through: Any) -> None:
    """Its own and everything below it; all others have the default one, and open paths none."""
    weak, strong = bearer(ims_issuer.mint()), bearer(ims_issuer.mint(State.STEPPED_UP))
    for path in ("/payments", "/payments/7", "/payments/", "//payments", "/x/../payments", "/payments/../investors"):
        assert through(verify, path, weak)[0] == 401, path
        assert through(verify, path, strong)[0] == 200, path
    for path in ("/investors", "/payments.csv", "/paymentsx", "/"):
        assert through(verify, path, weak)[0] == 200, path
        assert through(verify, path, {})[0] == 401, path
    assert through(verify, "/healthz", {})[::2] == (200, b"nobody")
    for path in ("/healthz/", "/healthz/x", "//healthz", "/HEALTHZ"):
        assert through(verify, path, {})[0] == 401, path


def cases(issuer: MockIssuer) -> dict[str, tuple[str, dict[str, str]]]:
    """Requests that are refused, each in its own way."""
    return {
        "no token": ("/investors", {}),
        "another scheme": ("/investors", {"Authorization": "Basic aW1zOnB3"}),
        "garbage": ("/investors", bearer("abc")),
        "two tokens": ("/investors", {"Authorization": f"Bearer {issuer.mint()}, Bearer {issuer.mint()}"}),
        "in the query": (f"/investors?a=b&access_token={issuer.mint()}", bearer(issuer.mint())),
        "hidden in the query": (f"/investors?access%5Ftoken={issuer.mint()}", bearer(issuer.mint())),
        "expired": ("/investors", bearer(issuer.mint(State.EXPIRED))),
        "scope": ("/investors", bearer(issuer.mint(scope="openid"))),
        "step up": ("/payments", bearer(issuer.mint(State.REMEMBERED))),
    }


@BOTH
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_every_refusal_is_the_one_that_flask_gives(
    ims_issuer: MockIssuer, verify: TokenVerifier, through: Any, method: str
) -> None:
    """Status, challenge, body and caching do not depend on the framework."""
    for name, (path, headers) in cases(ims_issuer).items():
        wanted = through_flask(verify, path, headers, method)
        assert wanted[0] in (400, 401, 403)
        assert through(verify, path, headers, method) == wanted, name


@BOTH
def test_while_the_issuer_is_away_the_answer_is_503(ims_issuer: MockIssuer, through: Any) -> None:
    """As by Flask: Retry-After, and no challenge."""
    ims_issuer.down = True
    verify = ims_issuer.verifier()
    wanted = through_flask(verify, "/investors", bearer(ims_issuer.mint()))
    assert (wanted[0], wanted[1]["retry-after"]) == (503, "30")
    assert through(verify, "/investors", bearer(ims_issuer.mint())) == wanted


def test_asgi_paths_are_those_below_the_mount(ims_issuer: MockIssuer, verify: TokenVerifier) -> None:
    """Servers put root_path in front of path; a neighbour with a longer name is no part of it."""
    weak = bearer(ims_issuer.mint())
    assert through_asgi(verify, "/api/healthz", {}, root_path="/api")[0] == 200
    assert through_asgi(verify, "/api/payments", weak, root_path="/api/")[0] == 401
    assert through_asgi(verify, "/apix/healthz", {}, root_path="/api")[0] == 401
    assert through_asgi(verify, "/api", weak, root_path="/api")[0] == 200


def test_a_second_authorization_header_is_no_way_around(ims_issuer: MockIssuer, verify: TokenVerifier) -> None:
    """Nobody chooses which of two headers counts."""
    scope = http_scope("/investors", {})
    scope["headers"] = [(b"authorization", f"Bearer {ims_issuer.mint()}".encode())] * 2
    start, _ = completed(received(asgi.TokenMiddleware(asgi_app, verify), scope))
    assert start["status"] == 401


def websocket(headers: Mapping[str, str], **changes: Any) -> dict[str, Any]:
    return http_scope("/investors", headers, type="websocket", **changes)


def test_a_websocket_needs_a_token_too(ims_issuer: MockIssuer, verify: TokenVerifier) -> None:
    """Accepted with one; without, closed before it is open, or answered where the server can."""
    app = asgi.TokenMiddleware(asgi_app, verify)
    assert completed(received(app, websocket(bearer(ims_issuer.mint()))))[0] == {"type": "websocket.accept"}
    assert completed(received(app, websocket({}))) == [{"type": "websocket.close", "code": 1008}]
    start, body = completed(received(app, websocket({}, extensions={"websocket.http.response": {}})))
    assert (start["type"], start["status"], body["type"]) == (
        "websocket.http.response.start",
        401,
        "websocket.http.response.body",
    )


def test_the_lifespan_is_passed_on(verify: TokenVerifier) -> None:
    """What is no request needs no token."""
    app = asgi.TokenMiddleware(asgi_app, verify)
    assert completed(received(app, {"type": "lifespan"})) == [{"type": "lifespan.startup.complete"}]


def test_the_loop_goes_on_while_keys_are_fetched(ims_issuer: MockIssuer) -> None:
    """The fetch waits in a thread for something that only the loop will do; from then on everything is from memory."""
    goes_on = threading.Event()
    fetched_by: list[str] = []

    def fetch(url: str) -> tuple[bytes, Mapping[str, str]]:
        fetched_by.append(threading.current_thread().name)
        assert goes_on.wait(10), "the loop stood still"
        return ims_issuer.fetch(url)

    app = asgi.TokenMiddleware(asgi_app, ims_issuer.verifier(fetch=fetch))
    scope = http_scope("/investors", bearer(ims_issuer.mint()))

    async def requests() -> list[int]:
        first, second = asyncio.ensure_future(received(app, scope)), asyncio.ensure_future(received(app, dict(scope)))
        while not fetched_by:
            await asyncio.sleep(0)
        goes_on.set()
        answers = [await first, await second, await received(app, dict(scope))]
        return [messages[0]["status"] for messages in answers]

    assert completed(requests()) == [200, 200, 200]
    assert len(fetched_by) == 2
    assert all(name.startswith("authsvc-verify") for name in fetched_by)


def test_a_token_is_judged_on_the_loop_once_keys_are_there(ims_issuer: MockIssuer) -> None:
    """No thread, no switch: 0.1 ms of arithmetic is not worth one."""
    judged_by: list[bool] = []
    verify = ims_issuer.verifier()
    verify.prefetch()

    class Watched:
        def __call__(self, token: str, requirement: Requirement = READING) -> Any:
            raise AssertionError("called from a thread")

        def at_once(self, token: str, requirement: Requirement = READING) -> Any:
            judged_by.append(asyncio.get_running_loop().is_running())
            return verify.at_once(token, requirement)

    scope = http_scope("/investors", bearer(ims_issuer.mint()))
    assert completed(received(asgi.TokenMiddleware(asgi_app, Watched()), scope))[0]["status"] == 200
    assert judged_by == [True]


def test_introspection_asks_from_a_thread(ims_issuer: MockIssuer) -> None:
    """The loop never waits for the issuer."""
    asked_by: list[str] = []

    def post(url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        asked_by.append(threading.current_thread().name)
        return ims_issuer.post(url, headers, body)

    app = asgi.TokenMiddleware(asgi_app, ims_issuer.introspection_verifier(post=post))
    for state, status in ((State.TWO_STEP, 200), (State.REVOKED, 401)):
        scope = http_scope("/investors", bearer(ims_issuer.mint(state)))
        assert completed(received(app, scope))[0]["status"] == status
    assert all(name.startswith("authsvc-verify") for name in asked_by)


@pytest.mark.parametrize("middleware", [asgi.TokenMiddleware, wsgi.TokenMiddleware], ids=["asgi", "wsgi"])
@pytest.mark.parametrize(
    "rules",
    [
        {"paths": {"payments": PAYING}},
        {"paths": {"/payments/": PAYING}},
        {"paths": {"/a//b": PAYING}},
        {"paths": {"/a/../b": PAYING}},
        {"open_paths": ["healthz"]},
        {"open_paths": "/healthz"},
    ],
    ids=repr,
)
def test_a_rule_that_could_never_be_met_is_a_mistake(verify: TokenVerifier, middleware: Any, rules: Any) -> None:
    """Said at start, not found out by somebody else."""
    with pytest.raises(ValueError, match="paths"):
        middleware(asgi_app, verify, **rules)
