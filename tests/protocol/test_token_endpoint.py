"""The token endpoint as such: how it is called, what every answer carries, and what it does while the database is away."""

from __future__ import annotations

import itertools
import os
from datetime import timedelta
from pathlib import Path

import pytest
from werkzeug.datastructures import MultiDict

from authsvc.clock import FixedClock
from authsvc.errors import ConfigurationError
from authsvc.services import build
from authsvc.settings import Settings
from tests.protocol.portal import TOKEN, USERINFO, Portal, body
from tests.support.service import CLIENT_SECRET, ISSUER, Service, make_ring

#: Endpoints of machines besides the token endpoint's and UserInfo.
OTHERS = ("/oauth/introspect", "/oauth/revoke", "/oauth/device_authorization")


def test_only_post_is_answered(portal: Portal) -> None:
    """RFC 6749 3.2: "The client MUST use the HTTP "POST" method when making access token requests." RFC 9110 15.5.6: the server
    "MUST generate an Allow header field in a 405 response".
    """
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        answer = portal.service.machine().open(TOKEN, method=method, base_url=ISSUER)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_parameters_in_the_query_are_refused(portal: Portal) -> None:
    """Authlib's Flask class takes grant_type and client_id from the address (libraries.md 1.5, 3), where logs keep them."""
    code = portal.code()
    machine = portal.service.machine()
    for query in ({"grant_type": "authorization_code", "code": code}, {"x": "y"}):
        answer = machine.post(TOKEN, base_url=ISSUER, query_string=query, data={"grant_type": "authorization_code"})
        assert (answer.status_code, body(answer)["error"]) == (400, "invalid_request")
    assert portal.redeem(code).status_code == 200


def test_a_parameter_that_is_sent_twice_is_refused_and_spends_nothing(portal: Portal) -> None:
    """RFC 6749 3.2: "Request and response parameters MUST NOT be included more than once." Authlib looks on /authorize only
    (libraries.md 1.5, 3).
    """
    code = portal.code()
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": portal.request()["redirect_uri"],
        "code_verifier": portal.verifier,
        "unknown": "x",
    }
    for name, second in itertools.product(fields, ("other", "")):
        twice = MultiDict([*fields.items(), (name, second)])
        answer = portal.service.machine().post(TOKEN, base_url=ISSUER, data=twice, auth=("ims-portal", CLIENT_SECRET))
        assert (answer.status_code, body(answer)["error"]) == (400, "invalid_request")
    assert portal.redeem(code).status_code == 200


def test_a_parameter_nobody_knows_is_ignored(portal: Portal) -> None:
    """RFC 6749 3.2: "The authorization server MUST ignore unrecognized request parameters." """
    assert portal.redeem(portal.code(), foo="bär\0", state="x").status_code == 200


def test_a_parameter_without_a_value_counts_as_left_out(portal: Portal) -> None:
    """RFC 6749 3.2: "Parameters sent without a value MUST be treated as if they were omitted from the request." """
    token = portal.tokens()["refresh_token"]
    service = portal.service
    assert body(service.token(grant_type=""))["error"] == "invalid_request"
    assert body(service.token(grant_type="authorization_code", code=""))["error"] == "invalid_request"
    assert body(service.token(grant_type="refresh_token", refresh_token=""))["error"] == "invalid_request"
    empty = {"scope": "", "resource": "", "client_secret": "", "client_assertion": ""}
    assert service.token(grant_type="refresh_token", refresh_token=token, **empty).status_code == 200


def test_a_missing_grant_type_and_an_unknown_one_are_told_apart(portal: Portal) -> None:
    """RFC 6749 5.2: invalid_request "is missing a required parameter"; unsupported_grant_type "is not supported". Neither the
    password grant (ASVS 10.4.4) nor any that is not built yet is there.
    """
    assert body(portal.service.token())["error"] == "invalid_request"
    not_offered = (
        "password",
        "implicit",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "Authorization_Code",
        "x" * 8000,
    )
    for grant_type in not_offered:
        answer = portal.service.token(grant_type=grant_type)
        assert (answer.status_code, body(answer)["error"]) == (400, "unsupported_grant_type")


def test_every_answer_is_json_that_nobody_keeps(portal: Portal) -> None:
    """RFC 6749 5.1: the server "MUST include the HTTP "Cache-Control" response header field with a value of "no-store" in any
    response containing tokens, credentials, or other sensitive information, as well as the "Pragma" response header field with a
    value of "no-cache"."
    """
    code = portal.code()
    answers = [
        portal.redeem(code),
        portal.redeem(code),
        portal.service.token(client=("nobody", "x"), grant_type="refresh_token"),
        portal.service.token(grant_type="bogus"),
        portal.service.token(),
        portal.service.machine().post(TOKEN, base_url=ISSUER, query_string={"a": "b"}),
    ]
    assert [answer.status_code for answer in answers] == [200, 400, 401, 400, 400, 400]
    for answer in answers:
        assert body(answer)
        assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")


def test_an_answer_holds_what_the_rfc_names_and_no_more(portal: Portal) -> None:
    """RFC 6749 5.1 and OpenID Connect Core 3.1.3.3. Lifetimes are the policy's, not Authlib's ten days (libraries.md 1.5, 9)."""
    assert portal.service.services.policies.tokens.access_token == timedelta(minutes=5)
    tokens = portal.tokens()

    assert tokens.keys() == {"token_type", "access_token", "expires_in", "scope", "refresh_token", "id_token"}
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 300)
    assert body(portal.refresh(tokens["refresh_token"])).keys() == tokens.keys()
    assert "id_token" not in portal.tokens(scope="investors.read"), "no openid, no ID token"


def test_a_body_that_is_no_form_is_refused(portal: Portal) -> None:
    """RFC 6749 4.1.3: the parameters come "using the "application/x-www-form-urlencoded" format"."""
    machine = portal.service.machine()
    for data, mimetype in (
        (b'{"grant_type": "client_credentials"}', "application/json"),
        (b"grant_type=client_credentials", "text/plain"),
        (b"\xff\xfe\x00grant_type", "application/x-www-form-urlencoded"),
        (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
    ):
        answer = machine.post(TOKEN, base_url=ISSUER, data=data, content_type=mimetype)
        assert (answer.status_code, body(answer)["error"]) == (400, "invalid_request")


def test_a_large_body_is_refused_unread(portal: Portal) -> None:
    """64 KB are more than any token request needs (PL-02); many fields and many parts are too."""
    machine = portal.service.machine()
    large = machine.post(TOKEN, base_url=ISSUER, data={"grant_type": "x", "pad": "x" * 70_000})
    fields = machine.post(TOKEN, base_url=ISSUER, data={f"p{n}": "x" for n in range(100)})
    long = machine.post(TOKEN, base_url=ISSUER, data={"grant_type": "authorization_code", "code": "x" * 9000})

    assert (large.status_code, body(large)["error"]) == (413, "invalid_request")
    assert (fields.status_code, body(fields)["error"]) == (400, "invalid_request")
    assert (long.status_code, body(long)["error"]) == (400, "invalid_request")


def test_no_origin_is_ever_echoed(portal: Portal) -> None:
    """No browser of another site reads an answer: no Access-Control-Allow-Origin on token or userinfo (TK-20)."""
    token = portal.tokens()["access_token"]
    for origin in ("https://app.ex.evil", "null", "http://localhost.evil", "https://portal.ims.test", ISSUER):
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        answers = [
            portal.service.machine().open(path, method=method, base_url=ISSUER, headers=headers)
            for path in (TOKEN, USERINFO, *OTHERS)
            for method in ("OPTIONS", "POST")
        ]
        answers.append(portal.userinfo(token, Origin=origin))
        for answer in answers:
            assert not [name for name, _ in answer.headers if name.lower().startswith("access-control")]
            assert origin == ISSUER or origin not in str(answer.headers)


def test_while_the_database_is_away_the_answer_is_503(clock: FixedClock, ring_folder: Path) -> None:
    """Never 401 or invalid_grant: a client that is told so throws its tokens away (architecture 2.5; security.md 4.4)."""
    away = Service.on("postgresql://127.0.0.1:1/away", clock=clock, ring=make_ring(ring_folder, clock))

    for form in ({"grant_type": "refresh_token", "refresh_token": "x"}, {"grant_type": "client_credentials"}):
        answer = away.token(**form)
        assert (answer.status_code, body(answer)) == (503, {"error": "temporarily_unavailable"})
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.headers["Cache-Control"] == "no-store"


def test_nothing_starts_with_authlibs_switch_for_plain_http() -> None:
    """Authlib reads AUTHLIB_INSECURE_TRANSPORT at every request (libraries.md 1.5, 2): start-up refuses it instead."""
    settings = Settings.read()
    assert "AUTHLIB_INSECURE_TRANSPORT" not in os.environ
    assert [p for p in settings.problems({"AUTHLIB_INSECURE_TRANSPORT": "1"}) if "AUTHLIB_INSECURE_TRANSPORT" in p]
    with pytest.raises(ConfigurationError, match="AUTHSVC_ISSUER"):
        build(Settings.read(issuer="http://login.ims.test"))
