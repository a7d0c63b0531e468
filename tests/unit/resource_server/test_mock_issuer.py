"""The mock issuer that other services test with: every state means in real code what its name says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from authsvc.resource_server import (
    InsufficientAuthentication,
    InvalidToken,
    KeysUnavailable,
    Requirement,
    TokenVerifier,
)
from authsvc.resource_server.testing import MockIssuer, State

TWO_STEP = Requirement(acr="urn:ims:acr:two-step")


@pytest.mark.parametrize("state", list(State))
def test_each_state_passes_or_does_not(ims_issuer: MockIssuer, state: State) -> None:
    """As `is_good` says: so a consumer can go through all of them."""
    verify = ims_issuer.verifier()
    verify.prefetch()
    token = ims_issuer.mint(state)
    ims_issuer.advance(31)
    if state.is_good:
        assert verify(token).issued_at <= ims_issuer.now()
    else:
        with pytest.raises(InvalidToken):
            verify(token)


@pytest.mark.parametrize(
    ("state", "acr", "amr", "device"),
    [
        (State.PASSWORD, "password", "pwd", None),
        (State.REMEMBERED, "remembered", "pwd", "used"),
        (State.DEVICE_ENDED, "remembered", "pwd", "used"),
        (State.TWO_STEP, "two-step", "pwd otp mca", None),
        (State.ENROLLED, "two-factor", "pwd sms mfa", "enrolled"),
        (State.STEPPED_UP, "two-factor", "pwd sms mfa", None),
    ],
)
def test_a_sign_in_says_what_the_issuer_would(
    ims_issuer: MockIssuer, state: State, acr: str, amr: str, device: str | None
) -> None:
    """claims.md, level by level."""
    claims = ims_issuer.verifier()(ims_issuer.mint(state))
    assert (claims.acr, claims.amr) == (f"urn:ims:acr:{acr}", tuple(amr.split()))
    assert (claims.remembered_device.state if claims.remembered_device else None) == device


def test_a_remembered_device_is_no_code(ims_issuer: MockIssuer) -> None:
    """The state that consumers most often get wrong."""
    verify = ims_issuer.verifier()
    with pytest.raises(InsufficientAuthentication):
        verify(ims_issuer.mint(State.REMEMBERED), TWO_STEP)
    verify(ims_issuer.mint(State.STEPPED_UP), TWO_STEP)


def test_a_machine_is_nobody(ims_issuer: MockIssuer) -> None:
    """client_credentials: no claims of a person."""
    claims = ims_issuer.verifier()(ims_issuer.mint(State.MACHINE))
    assert (claims.acr, claims.account, claims.sub) == (None, None, claims.client_id)


def test_claims_can_be_changed_and_left_out(ims_issuer: MockIssuer) -> None:
    """For what a service reads beyond the states."""
    token = ims_issuer.mint(scope="exports.read", roles=["viewer"], entitlements=None)
    claims = ims_issuer.verifier()(token)
    assert (claims.scope, claims.roles, claims.entitlements) == ({"exports.read"}, {"viewer"}, frozenset())


def test_a_new_key_is_fetched_once_and_a_withdrawn_one_ends_its_tokens(ims_issuer: MockIssuer) -> None:
    """A rotation and an emergency, as the consumer sees them."""
    verify = ims_issuer.verifier()
    old, kid = ims_issuer.mint(), ims_issuer.kids[-1]
    verify(old)
    ims_issuer.advance(31)
    verify(ims_issuer.mint(State.NEW_KEY))
    verify(old)
    assert ims_issuer.asked.count("/oauth/jwks") == 2
    ims_issuer.withdraw(kid)
    ims_issuer.advance(240)
    verify.prefetch()
    with pytest.raises(InvalidToken, match="kid"):
        verify(old)


def test_the_last_key_can_be_withdrawn(ims_issuer: MockIssuer) -> None:
    """Another takes its place: an issuer that signs has a key."""
    for kid in ims_issuer.kids:
        ims_issuer.withdraw(kid)
    assert len(ims_issuer.kids) == 1
    ims_issuer.verifier()(ims_issuer.mint(State.OLD_KEY))


def test_time_passes_for_issuer_and_verifier_alike(ims_issuer: MockIssuer) -> None:
    """Without sleeping."""
    verify, token = ims_issuer.verifier(), ims_issuer.mint()
    verify(token)
    ims_issuer.advance(361)
    with pytest.raises(InvalidToken, match="expired"):
        verify(token)
    verify(ims_issuer.mint())


def test_an_outage_can_be_played(ims_issuer: MockIssuer) -> None:
    """503 rather than 401."""
    ims_issuer.down = True
    with pytest.raises(KeysUnavailable):
        ims_issuer.verifier()(ims_issuer.mint())


def test_it_serves_over_http(ims_issuer: MockIssuer) -> None:
    """The application under test makes its own verifier from the address."""
    url = ims_issuer.serve()
    assert ims_issuer.serve() == url == ims_issuer.issuer
    TokenVerifier(url, ims_issuer.audience)(ims_issuer.mint())
    with urlopen(f"{url}/oauth/jwks") as answer:
        keys = json.load(answer)["keys"]
    assert [key["kid"] for key in keys] == list(ims_issuer.kids)
    assert not any("d" in key for key in keys)
    with pytest.raises(HTTPError, match="404") as refused:
        urlopen(f"{url}/oauth/token")
    refused.value.close()
    ims_issuer.close()
    ims_issuer.close()


def test_introspection_needs_the_client(ims_issuer: MockIssuer) -> None:
    """A consumer notices a wrong secret before production does."""
    status, _, body = ims_issuer.answer("/oauth/introspect", {"authorization": "Basic eDp5"}, b"token=x")
    assert (status, json.loads(body)) == (401, {"error": "invalid_client"})


def test_the_fixture_comes_with_the_package(tmp_path: Path) -> None:
    """Nothing to import, nothing to configure."""
    (tmp_path / "test_consumer.py").write_text(
        "def test_it(ims_issuer):\n    ims_issuer.verifier()(ims_issuer.mint())\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "test_consumer.py"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "1 passed" in run.stdout
