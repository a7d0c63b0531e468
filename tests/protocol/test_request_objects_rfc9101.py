"""Request objects: signed by the client, and then nothing else counts (RFC 9101, OpenID Connect Core 6)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from authsvc.clock import epoch_s
from authsvc.oauth.jose import Registry
from tests.protocol.portal import AUTHORIZE, EVERYTHING, Portal, body, sent_back
from tests.support.client_site import client_site
from tests.support.service import CALLBACK, CLIENT_SECRET, ISSUER, Service

EC = ECKey.generate_key("P-256", {"kid": "ec", "alg": "ES256"})
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed", "alg": "EdDSA"})
STRANGER = ECKey.generate_key("P-256", {"kid": "ec", "alg": "ES256"})
JWKS = {"keys": [key.as_dict(private=False) for key in (EC, RSA, ED)]}
ALGORITHMS = ("ES256", "RS256", "PS256", "EdDSA")


@pytest.fixture
def portal(service: Service) -> Portal:
    """The portal has registered its keys, and Dana is signed in."""
    portal = Portal.on(service, jwks=JWKS)
    portal.sign_in()
    return portal


def signed(
    portal: Portal, *, key: Key = EC, alg: str = "ES256", head: dict[str, Any] | None = None, **changed: Any
) -> str:
    """A proper request object with what the test changes; None leaves a claim out."""
    now = epoch_s(portal.service.clock.now())
    claims = {
        **portal.request(),
        "iss": "ims-portal",
        "aud": ISSUER,
        "iat": now,
        "nbf": now,
        "exp": now + 300,
        "jti": "1",
        **changed,
    }
    header = {"alg": alg, "kid": key.kid, "typ": "oauth-authz-req+jwt", **(head or {})}
    header = {name: value for name, value in header.items() if value is not None}
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(header, claims, key, registry=Registry(algorithms=[alg]))


def ask(portal: Portal, text: str, **outside: str) -> dict[str, str]:
    """The answer to a request object, with the address outside so that errors come back."""
    query = {"client_id": "ims-portal", "redirect_uri": CALLBACK, "state": "outside", "request": text, **outside}
    return sent_back(portal.get(AUTHORIZE, query, portal.dana))


@pytest.mark.parametrize(("alg", "key"), [*zip(ALGORITHMS, (EC, RSA, RSA, ED), strict=True)], ids=ALGORITHMS)
def test_each_algorithm_that_discovery_lists_works(portal: Portal, alg: str, key: Key) -> None:
    """RFC 9101 10.5: request_object_signing_alg_values_supported."""
    sent = ask(portal, signed(portal, key=key, alg=alg))

    assert ("code" in sent, sent["state"]) == (True, "the-state")
    told = body(portal.get("/.well-known/openid-configuration"))
    assert told["request_object_signing_alg_values_supported"] == list(ALGORITHMS)
    assert (told["request_parameter_supported"], told["request_uri_parameter_supported"]) == (True, False)


def test_only_what_is_inside_counts(portal: Portal) -> None:
    """RFC 9101 5: "The authorization server MUST only use the parameters included in the Request Object"."""
    outside = {"scope": EVERYTHING, "nonce": "outside", "response_mode": "bogus", "max_age": "0", "login_hint": "x"}
    sent = ask(portal, signed(portal, scope="openid", nonce=None), **outside)

    tokens = body(portal.redeem(sent["code"]))
    assert tokens["scope"] == "openid"
    assert "nonce" not in portal.claims(tokens["id_token"])
    without = signed(portal, redirect_uri=None)
    answer = portal.get(
        AUTHORIZE, {"client_id": "ims-portal", "redirect_uri": CALLBACK, "request": without}, portal.dana
    )
    assert (answer.status_code, "Location" in answer.headers) == (400, False), "FAPI: without-redirect-uri-fails"


def test_client_id_and_request_alone_suffice(portal: Portal) -> None:
    """RFC 9101 5."""
    query = {"client_id": "ims-portal", "request": signed(portal)}

    assert "code" in sent_back(portal.get(AUTHORIZE, query, portal.dana))


def test_numbers_and_claims_are_json_inside(portal: Portal) -> None:
    """OpenID Connect Core 6.1: max_age is a number and claims an object in the example there."""
    text = signed(portal, max_age=10_000, claims={"id_token": {"name": {"essential": True}}})

    tokens = body(portal.redeem(ask(portal, text)["code"]))

    assert portal.claims(tokens["id_token"])["name"] == "Dana"


def unsigned(portal: Portal, alg: str = "none", signature: str = "") -> str:
    """A request object that nobody signed."""
    parts = signed(portal).split(".")
    head = base64.urlsafe_b64encode(json.dumps({"alg": alg, "typ": "JWT"}).encode()).rstrip(b"=").decode()
    return f"{head}.{parts[1]}.{signature}"


def test_az_16_without_a_signature_it_is_nothing(portal: Portal) -> None:
    """AZ-16: alg none, in any spelling, and an encrypted one; nor one whose signature was cut off or changed."""
    for alg in ("none", "None", "NONE", "nOnE", "", "HS256"):
        assert ask(portal, unsigned(portal, alg))["error"] == "invalid_request_object"
        assert ask(portal, unsigned(portal, alg, "AAAA"))["error"] == "invalid_request_object"
    good = signed(portal)
    head, payload, signature = good.split(".")
    for text in (f"{head}.{payload}.", f"{head}.{payload}", f"{head}.{payload}.{signature[:-4]}AAAA", "a.b.c.d.e"):
        assert ask(portal, text)["error"] == "invalid_request_object"


def test_a_secret_signs_nothing(service: Service) -> None:
    """HS256 with the client's secret, or with its public key as the secret (RFC 8725 2.1), is no signature of a key of it."""
    portal = Portal.on(service, jwks=JWKS)
    # joserfc takes no PEM as a secret, so the secret is the key's own text.
    public = base64.urlsafe_b64encode(json.dumps(EC.as_dict(private=False)).encode()).decode()
    for secret in (CLIENT_SECRET + "0" * 20, public):
        text = signed(portal, key=OctKey.import_key(secret, {"kid": "ec"}), alg="HS256")
        assert ask(portal, text)["error"] == "invalid_request_object"


def test_a_stranger_signs_nothing(portal: Portal) -> None:
    """Not even under the kid of a known key, nor with a key that comes along (jwk, jku, x5u)."""
    assert ask(portal, signed(portal, key=STRANGER))["error"] == "invalid_request_object"
    along = {"jwk": STRANGER.as_dict(private=False), "kid": None}
    for head in (along, {"jku": "https://evil.example/jwks", "kid": None}, {"kid": "unknown"}, {"kid": None}):
        # joserfc signs with unknown header fields only when asked to by the lower layer.
        assert ask(portal, by_hand(portal, head))["error"] == "invalid_request_object"


def by_hand(portal: Portal, head: dict[str, Any]) -> str:
    """Signed by the stranger under any header."""
    header = {"alg": "ES256", "kid": "ec", **head}
    header = {name: value for name, value in header.items() if value is not None}
    payload = jws.extract_compact(signed(portal).encode()).payload
    registry = jws.JWSRegistry(algorithms=["ES256"], strict_check_header=False)
    return jws.serialize_compact(header, payload, STRANGER, registry=registry)


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": None},
        {"iss": "other"},
        {"iss": ["ims-portal"]},
        {"aud": None},
        {"aud": "https://evil.example"},
        {"aud": [f"{ISSUER}/"]},
        {"aud": {"x": ISSUER}},
        {"aud": 1},
        {"exp": None},
        {"exp": 1},
        {"exp": "soon"},
        {"exp": True},
        {"exp": []},
        {"nbf": 10**11},
        {"nbf": "x"},
        {"iat": 10**11},
        {"client_id": None},
        {"client_id": "other"},
        {"client_id": ["ims-portal"]},
        {"request": "x"},
        {"request_uri": "urn:ietf:params:oauth:request_uri:x"},
        {"sub": "ims-portal"},
        {"scope": ["openid"]},
        {"state": {"a": 1}},
        {"prompt": True},
        {"max_age": 1.5},
    ],
    ids=str,
)
def test_what_a_request_object_must_say(portal: Portal, changed: dict[str, Any]) -> None:
    """RFC 9101 4, 5, 6.3, 10.8: iss the client, aud this server, inner client_id = outer, no reference to another one, no sub
    that is the client; and an end.
    """
    sent = ask(portal, signed(portal, **changed))

    assert (sent["error"], sent["state"]) == ("invalid_request_object", "outside")


def test_several_audiences_will_do_if_we_are_one(portal: Portal) -> None:
    """RFC 7519 4.1.3."""
    assert "code" in ask(portal, signed(portal, aud=["https://other.example", ISSUER]))


def test_clocks_may_differ_a_little(portal: Portal) -> None:
    """policies/tokens.yaml: clock_skew, 60 s."""
    now = epoch_s(portal.service.clock.now())

    assert "code" in ask(portal, signed(portal, exp=now - 30, iat=now + 30, nbf=now + 30))
    assert ask(portal, signed(portal, exp=now - 60))["error"] == "invalid_request_object"
    assert ask(portal, signed(portal, nbf=now + 61))["error"] == "invalid_request_object"


@pytest.mark.parametrize("typ", ["at+jwt", "dpop+jwt", "client-authentication+jwt", "logout+jwt"])
def test_another_kind_of_token_is_no_request(portal: Portal, typ: str) -> None:
    """RFC 8725 3.11, RFC 9101 10.8. Without a type, or with JWT, it may be one."""
    assert ask(portal, signed(portal, head={"typ": typ}))["error"] == "invalid_request_object"
    assert "code" in ask(portal, signed(portal, head={"typ": "JWT"}))
    assert "code" in ask(portal, signed(portal, head={"typ": None}))


def test_what_is_inside_is_checked_like_anything_else(portal: Portal) -> None:
    """A signature makes nothing allowed; the answer goes where the object says."""
    for changed, error in (
        ({"scope": "admin"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"resource": "https://evil.example/"}, "invalid_target"),
        ({"scope": "open\0id"}, "invalid_request"),
    ):
        sent = ask(portal, signed(portal, **changed))
        assert (sent["error"], sent["state"]) == (error, "the-state")
    evil = {"client_id": "ims-portal", "request": signed(portal, redirect_uri="https://evil.example/")}
    answer = portal.get(AUTHORIZE, evil, portal.dana)
    assert (answer.status_code, "Location" in answer.headers) == (400, False)


def test_the_registered_algorithm_is_the_only_one(service: Service) -> None:
    """OpenID Connect Registration 2: with request_object_signing_alg others "MUST be rejected"."""
    portal = Portal.on(service, jwks=JWKS, request_object_signing_alg="PS256")
    portal.sign_in()

    assert "code" in ask(portal, signed(portal, key=RSA, alg="PS256"))
    for key, alg in ((RSA, "RS256"), (EC, "ES256"), (ED, "EdDSA")):
        assert ask(portal, signed(portal, key=key, alg=alg))["error"] == "invalid_request_object"


def test_a_client_that_must_sign_is_believed_nothing_else(service: Service) -> None:
    """RFC 9101 10.5: require_signed_request_object; unsigned parameters are refused, here and when they are pushed."""
    portal = Portal.on(service, jwks=JWKS, require_signed_request_object=True)
    page = portal.dana.open(AUTHORIZE, client_id="ims-portal", request=signed(portal))
    portal.go_on(page)
    assert "code" in portal.dana.callback(), "how it came is still known after the sign-in"

    assert sent_back(portal.ask())["error"] == "invalid_request"
    assert body(portal.push())["error"] == "invalid_request"


def test_a_client_without_keys_cannot_sign(service: Service) -> None:
    """Nothing to hold it against."""
    portal = Portal.on(service)
    assert ask(portal, signed(portal))["error"] == "invalid_request_object"


def test_a_signed_request_can_be_pushed(portal: Portal) -> None:
    """RFC 9126 3: the client authenticates and the parameters come from inside alone."""
    form = {"request": signed(portal, scope="openid"), "scope": EVERYTHING, "state": "outside"}
    answer = portal.push(form=form)
    assert answer.status_code == 201

    sent = sent_back(portal.open_link(body(answer)["request_uri"]))

    assert sent["state"] == "the-state"
    assert body(portal.redeem(sent["code"]))["scope"] == "openid"
    for wrong in (unsigned(portal), signed(portal, key=STRANGER), signed(portal, client_id="other"), "x"):
        refused = portal.push(form={"request": wrong})
        assert (refused.status_code, body(refused)["error"]) == (400, "invalid_request_object")


def test_a_client_that_must_sign_and_push_does_both(service: Service) -> None:
    """Both requirements, met by one way."""
    portal = Portal.on(
        service, jwks=JWKS, require_signed_request_object=True, require_pushed_authorization_requests=True
    )
    portal.sign_in(client_id="ims-portal")
    answer = portal.push(form={"request": signed(portal)})
    page = portal.dana.open(AUTHORIZE, client_id="ims-portal", request_uri=body(answer)["request_uri"])
    portal.go_on(page)
    assert "code" in portal.dana.callback()

    assert ask(portal, signed(portal))["error"] == "invalid_request"


def test_by_reference_is_not_offered_and_nothing_is_fetched(portal: Portal) -> None:
    """OpenID Connect Core 6.2; AZ-16: no address of the request is ever opened."""
    with client_site() as site:
        site.answer("/r.jwt", body=signed(portal).encode())
        for uri in (
            f"{site.url}/r.jwt",
            "http://169.254.169.254/",
            "gopher://x",
            "https://[::1]/",
            "file:///etc/passwd",
        ):
            query = {**portal.request(), "request_uri": uri}
            assert sent_back(portal.get(AUTHORIZE, query, portal.dana))["error"] == "request_uri_not_supported"
        both = {**portal.request(), "request": signed(portal), "request_uri": f"{site.url}/r.jwt"}
        assert sent_back(portal.get(AUTHORIZE, both, portal.dana))["error"] == "invalid_request"
        assert site.asked == []


@pytest.mark.parametrize(
    "text", ["W10.e30.AAAA", "ImFsZyI.e30.AAAA", "e30.e30.", ".", "..", "x", "[" * 4000, "eyJhbGciOjF9.e30.x", "é.é.é"]
)
def test_what_is_no_jwt_is_refused_in_words(portal: Portal, text: str) -> None:
    """TK-21."""
    assert ask(portal, text)["error"] == "invalid_request_object"
