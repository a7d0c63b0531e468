"""IntrospectionVerifier: the same claims and errors, live; and no verdict when there is nobody to ask."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from authsvc.resource_server import (
    InsufficientAuthentication,
    InsufficientScope,
    IntrospectionVerifier,
    InvalidToken,
    IssuerUnavailable,
    Requirement,
)
from authsvc.resource_server.introspection import FAILURES_BEFORE_PAUSE, LONGEST_PAUSE_S, PAUSE_S
from authsvc.resource_server.testing import AUDIENCE, INTROSPECT, ISSUER, MockIssuer, State

ANSWERS = Mapping[str, Any] | bytes | int
JSON = {"Content-Type": "application/json"}


def answering(issuer: MockIssuer, change: Callable[[dict[str, Any]], Any]) -> IntrospectionVerifier:
    """A verifier whose issuer's answers are changed on the way."""

    def post(url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        status, sent, content = issuer.post(url, headers, body)
        changed = change(json.loads(content))
        return status, sent, changed if isinstance(changed, bytes) else json.dumps(changed).encode()

    return issuer.introspection_verifier(post=post)


@pytest.mark.parametrize("state", [state for state in State if state.is_live and state is not State.DEVICE_ENDED])
def test_the_claims_are_those_of_the_token(ims_issuer: MockIssuer, state: State) -> None:
    """A service changes one line to ask the issuer instead."""
    token = ims_issuer.mint(state)
    offline, live = ims_issuer.verifier()(token), ims_issuer.introspection_verifier()(token)
    for name in ("sub", "client_id", "jti", "expires_at", "scope", "acr", "amr", "auth_time", "account", "roles"):
        assert getattr(live, name) == getattr(offline, name), name
    assert live.second_step_at() == offline.second_step_at()
    assert (live.remembered_device is None) == (offline.remembered_device is None)


@pytest.mark.parametrize("state", [state for state in State if not state.is_live])
def test_a_token_that_is_not_live_is_invalid(ims_issuer: MockIssuer, state: State) -> None:
    """Revoked, although its signature is good; forged, expired or another's."""
    with pytest.raises(InvalidToken):
        ims_issuer.introspection_verifier()(ims_issuer.mint(state))


def test_a_revocation_counts_at_the_next_request(ims_issuer: MockIssuer) -> None:
    """Nothing is remembered from one call to the next."""
    verify, token = ims_issuer.introspection_verifier(), ims_issuer.mint()
    verify(token)
    ims_issuer.revoke(token)
    with pytest.raises(InvalidToken, match="not active"):
        verify(token)


def test_an_ended_device_no_longer_stands_in_for_a_code(ims_issuer: MockIssuer) -> None:
    """The sign-in then counts as `password` (claims.md): pages for a password open, others ask to step up."""
    verify, token = ims_issuer.introspection_verifier(), ims_issuer.mint(State.REMEMBERED)
    before = verify(token, Requirement(acr="urn:ims:acr:remembered", mfa_within_s=11 * 86_400))
    assert before.remembered_device is not None
    assert before.remembered_device.mfa_amr == ("pwd", "sms", "mfa")
    ims_issuer.end_device(token)
    after = verify(token)
    assert (after.acr, after.raw["acr"], after.remembered_device) == (
        "urn:ims:acr:password",
        "urn:ims:acr:remembered",
        None,
    )
    for requirement in (Requirement(acr="urn:ims:acr:remembered"), Requirement(mfa_within_s=11 * 86_400)):
        with pytest.raises(InsufficientAuthentication):
            verify(token, requirement)


def test_a_requirement_is_looked_at(ims_issuer: MockIssuer) -> None:
    """As offline."""
    with pytest.raises(InsufficientScope):
        ims_issuer.introspection_verifier()(ims_issuer.mint(), Requirement(scope="investors.write"))


@pytest.mark.parametrize(
    "change",
    [
        {"active": None},
        {"active": "true"},
        {"active": 1},
        b"",
        b"[]",
        b"[" * 20_000,
        b"<html>",
    ],
    ids=lambda change: repr(change)[:24],
)
def test_an_answer_without_a_verdict_is_no_verdict(ims_issuer: MockIssuer, change: ANSWERS) -> None:
    """RFC 7662 2.2: `active` is a REQUIRED boolean. A proxy's error page signs nobody out."""
    verify = answering(ims_issuer, lambda said: change if isinstance(change, bytes) else {**said, **change})
    with pytest.raises(IssuerUnavailable):
        verify(ims_issuer.mint())


@pytest.mark.parametrize(
    "change",
    [
        {"token_type": None},
        {"token_type": "DPoP"},
        {"iss": "https://login.other.test"},
        {"iss": None},
        {"aud": "https://api.other.test"},
        {"aud": None},
        {"cnf": {"jkt": "x"}},
        {"exp": None},
        {"exp": "tomorrow"},
        {"sub": None},
        {"scope": ["investors.read"]},
    ],
    ids=repr,
)
def test_an_active_token_must_still_be_one_for_us(ims_issuer: MockIssuer, change: dict[str, Any]) -> None:
    """A refresh token, another API's token, a bound one: all active at the issuer, none of them opens anything here."""
    verify = answering(ims_issuer, lambda said: {**said, **change})
    with pytest.raises(InvalidToken):
        verify(ims_issuer.mint())


def test_an_answer_about_the_past_is_not_believed(ims_issuer: MockIssuer) -> None:
    """exp is looked at here too, with the same leeway."""
    token = ims_issuer.mint()
    verify = answering(ims_issuer, lambda said: {**said, "exp": int(ims_issuer.now()) - 61})
    with pytest.raises(InvalidToken, match="expired"):
        verify(token)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "rt_6pW1c0QmUo3kJ9",
        "a.b",
        "a.b.c.d",
        "a.b.",
        "a.b.c ",
        "a.b.é",
        "a.b.c\n",
        "a.b.c&token=d",
        None,
        b"a.b.c",
    ],
    ids=repr,
)
def test_what_cannot_be_a_token_is_refused_without_a_call(ims_issuer: MockIssuer, token: Any) -> None:
    """Garbage from anybody must not become load on the issuer."""
    with pytest.raises(InvalidToken):
        ims_issuer.introspection_verifier()(token)
    with pytest.raises(InvalidToken):
        ims_issuer.introspection_verifier()("a.b." + "c" * 20_000)
    assert ims_issuer.asked == []


@pytest.mark.parametrize("status", [204, 301, 302, 307, 400, 401, 403, 404, 429, 500, 503])
def test_anything_but_200_is_no_verdict(ims_issuer: MockIssuer, status: int) -> None:
    """Our own credentials being wrong says nothing about the person's token."""
    verify = ims_issuer.introspection_verifier(post=lambda *_: (status, {}, b'{"active": false}'))
    with pytest.raises(IssuerUnavailable):
        verify(ims_issuer.mint())


def test_wrong_credentials_are_said_in_the_log(ims_issuer: MockIssuer, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody has to repair it; neither the secret nor the token is in the log."""
    token = ims_issuer.mint()
    verify = IntrospectionVerifier(
        ISSUER, "your-api", "a-stale-secret", AUDIENCE, fetch=ims_issuer.fetch, post=ims_issuer.post
    )
    with pytest.raises(IssuerUnavailable):
        verify(token)
    assert "check its secret" in caplog.text
    assert "a-stale-secret" not in caplog.text
    assert token not in caplog.text


def test_credentials_are_form_urlencoded(ims_issuer: MockIssuer) -> None:
    """RFC 6749 2.3.1: a colon or a percent sign in a secret arrives as it is."""
    ims_issuer.client = ("api:1", "50% off+ü")
    assert ims_issuer.introspection_verifier()(ims_issuer.mint()).acr


def test_the_endpoint_is_found_once_and_again_after_a_failure(ims_issuer: MockIssuer) -> None:
    """By discovery, for the path may be moved."""
    verify = ims_issuer.introspection_verifier()
    for _ in range(3):
        verify(ims_issuer.mint())
    assert ims_issuer.asked == ["/.well-known/openid-configuration", *[INTROSPECT] * 3]
    ims_issuer.down = True
    with pytest.raises(IssuerUnavailable):
        verify(ims_issuer.mint())
    ims_issuer.down = False
    ims_issuer.advance(3)
    ims_issuer.asked.clear()
    verify(ims_issuer.mint())
    assert ims_issuer.asked == ["/.well-known/openid-configuration", INTROSPECT]


@pytest.mark.parametrize(
    "endpoint", ["https://evil.example/introspect", "http://login.ims.test/introspect", None, "file:///etc/passwd"]
)
def test_tk_18_the_secret_goes_to_the_issuers_origin_alone(ims_issuer: MockIssuer, endpoint: str | None) -> None:
    """A document that was tampered with must not collect client secrets and tokens."""
    sent: list[str] = []

    def fetch(url: str) -> tuple[bytes, Mapping[str, str]]:
        return json.dumps({"issuer": ISSUER, "introspection_endpoint": endpoint}).encode(), JSON

    def post(url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        sent.append(url)
        return 200, {}, b'{"active": true}'

    with pytest.raises(IssuerUnavailable):
        ims_issuer.introspection_verifier(fetch=fetch, post=post)(ims_issuer.mint())
    assert sent == []


def test_an_issuer_that_is_away_is_left_alone_for_a_while(ims_issuer: MockIssuer) -> None:
    """After some failures in a row nobody waits for the next: 503 at once, then one more try."""
    tries: list[str] = []

    def post(url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        tries.append(url)
        raise TimeoutError

    verify = ims_issuer.introspection_verifier(post=post)
    for _ in range(50):
        with pytest.raises(IssuerUnavailable):
            verify(ims_issuer.mint())
    assert len(tries) == FAILURES_BEFORE_PAUSE
    ims_issuer.advance(PAUSE_S)
    with pytest.raises(IssuerUnavailable) as refused:
        verify(ims_issuer.mint())
    assert (len(tries), refused.value.retry_after_s) == (FAILURES_BEFORE_PAUSE + 1, 1)


@pytest.mark.parametrize(
    ("asked_for", "seconds"),
    [("2", 2), ("0", 1), ("86400", LONGEST_PAUSE_S), ("Sun, 22 Nov 2026 21:31:00 GMT", 1), ("-1", 1)],
)
def test_retry_after_is_kept_within_bounds(ims_issuer: MockIssuer, asked_for: str, seconds: int) -> None:
    """The issuer may ask for patience, not for silence."""
    verify = ims_issuer.introspection_verifier(post=lambda *_: (429, {"retry-after": asked_for}, b""))
    with pytest.raises(IssuerUnavailable) as refused:
        verify(ims_issuer.mint())
    assert refused.value.retry_after_s == seconds


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("http://login.ims.example", "a", "b", AUDIENCE), "https"),
        ((ISSUER, "", "b", AUDIENCE), "needed"),
        ((ISSUER, "a", "", AUDIENCE), "needed"),
        ((ISSUER, "a", "b", ""), "needed"),
    ],
    ids=["http", "client_id", "client_secret", "audience"],
)
def test_a_mistake_is_said_at_start(arguments: tuple[str, str, str, str], words: str) -> None:
    """Not at the first request."""
    with pytest.raises(ValueError, match=words):
        IntrospectionVerifier(*arguments)
