"""Proof Key for Code Exchange: S256, and for every client (RFC 7636, RFC 9700 2.1.1; security.md AZ-08, AZ-09)."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta

import pytest
from sqlalchemy import update

from authsvc.oauth.models import AuthorizationCode
from tests.protocol.portal import Portal, body, sent_back
from tests.support.service import Service

#: RFC 7636 appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

both_kinds = pytest.mark.parametrize("public", [False, True], ids=["confidential", "public"])


def of_length(length: int) -> tuple[str, str]:
    """A verifier with so many characters, and its challenge."""
    verifier = ("aZ09-._~" * 20)[:length]
    return verifier, base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def is_spent(portal: Portal, code: str) -> bool:
    """Whether the right verifier comes too late."""
    answer = portal.redeem(code)
    assert answer.status_code in (200, 400)
    return answer.status_code == 400 and body(answer)["error"] == "invalid_grant"


@both_kinds
def test_a_challenge_is_required_of_every_client(service: Service, public: bool) -> None:
    """RFC 7636 4.4.1: "the authorization endpoint MUST return the authorization error response with the "error" value set to
    "invalid_request"." Authlib gives public clients a code and forgets confidential ones (libraries.md 1.5, 6).
    """
    portal = Portal.on(service, public=public)
    portal.sign_in()
    refused: tuple[dict[str, str | None], ...] = (
        {"code_challenge": None},
        {"code_challenge": ""},
        {"code_challenge": None, "code_challenge_method": None},
        # RFC 7636 4.3: without a method it "defaults to "plain"", and plain is not offered.
        {"code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": "s256"},
        {"code_challenge_method": "S512"},
        {"code_challenge": VERIFIER, "code_challenge_method": "plain"},
    )
    for changed in refused:
        assert sent_back(portal.ask(**changed))["error"] == "invalid_request", changed


def test_a_challenge_has_the_length_and_the_characters_of_the_rfc(portal: Portal) -> None:
    """RFC 7636 4.2: code-challenge = 43*128unreserved."""
    portal.sign_in()
    for challenge in ("x" * 42, "x" * 129, "x" * 43 + "=", "x" * 43 + " ", "x" * 43 + "\n", "+/" * 22):
        assert sent_back(portal.ask(code_challenge=challenge))["error"] == "invalid_request", challenge


@both_kinds
def test_the_published_vector_works(service: Service, public: bool) -> None:
    """RFC 7636 appendix B."""
    portal = Portal.on(service, public=public)

    answer = portal.redeem(portal.code(code_challenge=CHALLENGE), code_verifier=VERIFIER)

    assert answer.status_code == 200


@pytest.mark.parametrize("length", [43, 128])
def test_the_shortest_and_the_longest_verifier_work(portal: Portal, length: int) -> None:
    """RFC 7636 4.1: "a minimum length of 43 characters and a maximum length of 128 characters"."""
    verifier, challenge = of_length(length)

    assert portal.redeem(portal.code(code_challenge=challenge), code_verifier=verifier).status_code == 200


@both_kinds
def test_a_wrong_verifier_is_refused_and_burns_the_code(service: Service, public: bool) -> None:
    """RFC 7636 4.6: "If the values are not equal, an error response indicating "invalid_grant" [...] MUST be returned." There
    is no second guess (AZ-09): the code has been spent before the verifier is looked at (spikes.md 1).
    """
    portal = Portal.on(service, public=public)
    wrong = {
        "another one": VERIFIER,
        "the challenge": portal.challenge,
        "other case": portal.verifier.swapcase(),
        "one more": portal.verifier + "x",
    }
    for name, verifier in wrong.items():
        code = portal.code(prompt=None)
        assert body(portal.redeem(code, code_verifier=verifier))["error"] == "invalid_grant", name
        assert is_spent(portal, code), name


@both_kinds
def test_a_missing_or_malformed_verifier_is_refused_and_burns_the_code(service: Service, public: bool) -> None:
    """RFC 9700 2.1.1: PKCE is no protection where the verifier may be left out. 42 and 129 characters are no verifier."""
    portal = Portal.on(service, public=public)
    for verifier in (
        "",
        "x" * 42,
        "x" * 129,
        f"{portal.verifier}=",
        f"{portal.verifier[:-1]}é",
        f"{portal.verifier}\n",
    ):
        code = portal.code()
        answer = body(portal.redeem(code, code_verifier=verifier))
        assert answer["error"] in ("invalid_request", "invalid_grant"), verifier
        assert "access_token" not in answer
    code = portal.code()
    portal.redeem(code, code_verifier="")
    assert is_spent(portal, code)


def test_a_verifier_without_a_challenge_is_refused(portal: Portal) -> None:
    """RFC 9700 2.1.1: "a token request containing a code_verifier parameter is accepted only if a code_challenge parameter was
    present in the authorization request". No such code is ever issued; here is one made by hand.
    """
    code = portal.code()
    with portal.service.services.database.transaction() as tx:
        tx.execute(update(AuthorizationCode).values(code_challenge=""))

    assert body(portal.redeem(code))["error"] == "invalid_request"


def test_the_verifier_belongs_to_its_own_code(portal: Portal) -> None:
    """A code from somebody else's browser injected into Dana's is worth nothing to the client (AZ-12, RFC 9700 4.5)."""
    first = portal.code()
    other, challenge = of_length(64)
    second = portal.code(code_challenge=challenge)

    assert body(portal.redeem(first, code_verifier=other))["error"] == "invalid_grant"
    assert portal.redeem(second, code_verifier=other).status_code == 200


def test_a_code_lives_for_a_minute(portal: Portal) -> None:
    """RFC 6749 4.1.2: "The authorization code MUST expire shortly after it is issued". policies/tokens.yaml: 60 s."""
    assert portal.service.services.policies.tokens.authorization_code == timedelta(seconds=60)
    code = portal.code()
    portal.service.pass_time(seconds=59)
    assert portal.redeem(code).status_code == 200
    late = portal.code()
    portal.service.pass_time(seconds=60)
    assert body(portal.redeem(late))["error"] == "invalid_grant"
