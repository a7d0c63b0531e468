"""The attack cases TK-01 to TK-11, TK-18 and TK-21 (security.md 3.2) against the kit."""

from __future__ import annotations

import hmac
import json
import secrets
import time as real_time
from hashlib import sha256
from typing import Any

import pytest
from joserfc.jwk import ECKey

from authsvc.resource_server import InsufficientPrivilege, InvalidToken, KeysUnavailable, Requirement, TokenVerifier
from tests.unit.resource_server.attacks import Attacks, public_forms
from tests.unit.resource_server.local_issuer import (
    ABSENT,
    AUDIENCE,
    EDDSA,
    ES256,
    ISSUER,
    NEXT_ES256,
    NOW,
    RS256,
    LocalIssuer,
    Time,
    a_header,
    a_token,
    b64,
    named,
    signed,
    some_claims,
)

DEEP = b'{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}"


@pytest.mark.parametrize("key", [ES256, RS256, EDDSA], ids=lambda key: key.alg)
def test_a_good_token_of_each_algorithm_passes(verify: TokenVerifier, key: Any) -> None:
    """ES256 by default, RS256 and EdDSA per client (claims.md)."""
    assert verify(a_token(key)).sub == "3f9c1d52"


@pytest.mark.parametrize("alg", ["none", "None", "nOnE", "", ABSENT, None, 0, ["ES256"], {"ES256": 1}], ids=named)
@pytest.mark.parametrize("signature", ["", "AAAA"])
def test_tk_01_alg_none_is_refused(verify: TokenVerifier, alg: Any, signature: str) -> None:
    """No unsigned token, however it spells that it is unsigned (RFC 8725 3.1, 3.2)."""
    header = a_header(alg=alg)
    token = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(some_claims()).encode())}.{signature}"
    with pytest.raises(InvalidToken):
        verify(token)


def test_tk_01_an_empty_signature_is_refused(verify: TokenVerifier) -> None:
    """A good header and payload are worth nothing without the signature."""
    with pytest.raises(InvalidToken, match="signature"):
        verify(a_token().rpartition(".")[0] + ".")


@pytest.mark.parametrize("form", list(public_forms()))
@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512", "RS256"])
def test_tk_02_a_public_key_is_no_hmac_secret(verify: TokenVerifier, alg: str, form: str) -> None:
    """No form of the public key signs anything: there is no HMAC here (CVE-2024-37568 and its kin)."""
    signing_input = f"{b64(json.dumps(a_header(RS256, alg=alg)).encode())}.{b64(json.dumps(some_claims()).encode())}"
    token = f"{signing_input}.{b64(hmac.new(public_forms()[form], signing_input.encode(), sha256).digest())}"
    with pytest.raises(InvalidToken):
        verify(token)


def test_tk_02_a_token_with_another_alg_than_its_key_is_refused(verify: TokenVerifier) -> None:
    """One key, one algorithm (RFC 8725 3.1)."""
    with pytest.raises(InvalidToken, match="alg is not the key's"):
        verify(signed(a_header(ES256, alg="RS256"), some_claims(), ES256))


@pytest.mark.parametrize("alg", ["HS256", "PS256", "ES512"])
def test_tk_02_no_other_algorithm_can_be_allowed(alg: str) -> None:
    """The list is closed: a service cannot open it by its configuration."""
    with pytest.raises(ValueError, match="algorithms"):
        TokenVerifier(ISSUER, AUDIENCE, algorithms=["ES256", alg])


def test_tk_02_an_algorithm_that_is_not_allowed_is_refused(issuer: LocalIssuer, time: Time) -> None:
    """A service may allow less than the issuer signs with."""
    verify = issuer.verifier(time, algorithms=["ES256"])
    with pytest.raises(InvalidToken, match="alg is not allowed"):
        verify(a_token(RS256))


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
def test_tk_03_a_key_in_the_header_is_refused_without_a_call(
    issuer: LocalIssuer, verify: TokenVerifier, name: str
) -> None:
    """Keys come from the issuer alone (RFC 8725 3.10); a token cannot make the service call anybody."""
    intruder = ECKey.generate_key("P-256", {"kid": "es-1", "alg": "ES256"})
    value = {"jwk": intruder.as_dict(private=False), "x5c": ["MIIB"]}.get(name, "https://evil.example/keys")
    with pytest.raises(InvalidToken):
        verify(signed(a_header(intruder, **{name: value}), some_claims(), intruder))
    assert issuer.asked == []


@pytest.mark.parametrize(
    "kid",
    ["../../dev/null", "' or 1=1", "", ABSENT, None, 7, ["es-1"], "k" * 300, "k" * 2**20],
    ids=lambda kid: named(kid)[:12] + str(len(str(kid))),
)
def test_tk_04_a_kid_is_only_ever_looked_up(verify: TokenVerifier, kid: Any) -> None:
    """A key id is compared with the published ones and used for nothing else (RFC 8725 3.10)."""
    with pytest.raises(InvalidToken):
        verify(signed(a_header(kid=kid), some_claims()))


def test_tk_04_random_kids_cause_one_fetch_in_30_seconds(
    issuer: LocalIssuer, verify: TokenVerifier, time: Time
) -> None:
    """10,000 unknown key ids within half a minute: the keys are asked for once."""
    verify(a_token())
    time.advance(30)
    _, payload, signature = a_token().split(".")
    for _ in range(10_000):
        header = a_header(kid=secrets.token_hex(8))
        with pytest.raises(InvalidToken, match="kid is not in the key set"):
            verify(f"{b64(json.dumps(header).encode())}.{payload}.{signature}")
        time.advance(0.002)
    assert issuer.key_fetches() == 2


@pytest.mark.parametrize(
    "extension",
    [
        {"crit": ["bork"]},
        {"crit": ["bork"], "bork": True},
        {"crit": []},
        {"crit": 1},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"b64": True},
    ],
    ids=named,
)
def test_tk_05_a_critical_extension_is_refused(verify: TokenVerifier, extension: dict[str, Any]) -> None:
    """We understand none, so we MUST refuse (RFC 7515 4.1.11); nor may b64 change what was signed (RFC 7797)."""
    with pytest.raises(InvalidToken):
        verify(signed(a_header(**extension), some_claims()))


def test_tk_06_only_the_compact_form_is_a_token(verify: TokenVerifier) -> None:
    """No JSON serialization: without signatures, with one, or with a good and a bad one (RFC 9068 2)."""
    protected, payload, signature = a_token().split(".")
    good, bad = {"protected": protected, "signature": signature}, {"protected": protected, "signature": "AAAA"}
    forms: list[Any] = [
        {"payload": payload},
        {"payload": payload, "signatures": []},
        {"payload": payload, **good},
        {"payload": payload, "signatures": [good, bad]},
    ]
    for form in [*forms, *map(json.dumps, forms), a_token().encode(), None, "", ".", "..", f"{a_token()}.", "…"]:
        with pytest.raises(InvalidToken):
            verify(form)


def test_tk_06_an_empty_hmac_key_signs_nothing(issuer: LocalIssuer, time: Time) -> None:
    """Not even if the issuer were made to publish a symmetric key."""
    issuer.keys.append({"kty": "oct", "k": "", "kid": "oct-1", "alg": "HS256"})
    signing_input = f"{b64(json.dumps(a_header(kid='oct-1', alg='HS256')).encode())}.{b64(b'{}')}"
    token = f"{signing_input}.{b64(hmac.new(b'', signing_input.encode(), sha256).digest())}"
    with pytest.raises(InvalidToken):
        issuer.verifier(time)(token)


@pytest.mark.parametrize(
    "typ", [ABSENT, "JWT", "at+JWT", "logout+jwt", "oauth-authz-req+jwt", "", None, ["at+jwt"]], ids=named
)
def test_tk_07_another_kind_of_token_is_no_access_token(verify: TokenVerifier, typ: Any) -> None:
    """ID token, logout token, request object, or an access token stripped of its type (RFC 9068 4, RFC 8725 3.11)."""
    with pytest.raises(InvalidToken, match="typ"):
        verify(signed(a_header(typ=typ), some_claims()))


@pytest.mark.parametrize(
    "opaque", ["rt_6pW1c0QmUo3kJ9", "urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c"]
)
def test_tk_07_a_refresh_token_or_request_uri_is_no_access_token(verify: TokenVerifier, opaque: str) -> None:
    """What is opaque has nothing to verify."""
    with pytest.raises(InvalidToken):
        verify(opaque)


def test_tk_07_the_long_form_of_the_type_passes(verify: TokenVerifier) -> None:
    """`application/at+jwt` is the same type written out (RFC 9068 4)."""
    assert verify(signed(a_header(typ="application/at+jwt"), some_claims())).jti == "b7a2"


@pytest.mark.parametrize(
    "aud",
    [
        ABSENT,
        "https://api.ims.example/exports",
        ["https://api.ims.example/exports", "ims-portal"],
        "ims-portal",
        AUDIENCE + "/",
        AUDIENCE.upper(),
        [],
        {AUDIENCE: True},
        [[AUDIENCE]],
        None,
    ],
    ids=repr,
)
def test_tk_08_a_token_for_another_api_is_refused(verify: TokenVerifier, aud: Any) -> None:
    """The resource server MUST find itself in aud (RFC 9068 4)."""
    with pytest.raises(InvalidToken, match="audience"):
        verify(a_token(aud=aud))


def test_tk_08_one_audience_among_several_is_enough(verify: TokenVerifier) -> None:
    """aud may be a list (RFC 7519 4.1.3)."""
    verify(a_token(aud=["https://api.ims.example/exports", AUDIENCE]))


@pytest.mark.parametrize(
    "iss",
    [
        ABSENT,
        None,
        "http://login.ims.example",
        f"{ISSUER}/",
        "https://login.other.example",
        "https://login.ims.example.evil.example",
        "https://log\u0456n.ims.example",
        "https://LOGIN.ims.example",
        [ISSUER],
    ],
    ids=ascii,
)
def test_tk_09_the_issuer_is_compared_exactly(verify: TokenVerifier, iss: Any) -> None:
    """Another scheme, a slash, a twin letter: another issuer (RFC 8725 3.8)."""
    with pytest.raises(InvalidToken, match="another issuer"):
        verify(a_token(iss=iss))


@pytest.mark.parametrize("name", ["exp", "iat"])
@pytest.mark.parametrize(
    "value",
    ["missing", '"1763800300"', "1e400", "-1e400", "NaN", "Infinity", "-1", "true", "null", "1763800300.5", "9" * 60],
)
def test_tk_10_a_time_that_is_no_time_is_refused(verify: TokenVerifier, name: str, value: str) -> None:
    """exp and iat are required and are whole, positive seconds (RFC 9068 2.2, RFC 7519 2)."""
    payload = json.dumps(some_claims(**{name: ABSENT}))
    if value != "missing":
        payload = f'{payload[:-1]}, "{name}": {value}}}'
    with pytest.raises(InvalidToken, match=f"{name} is missing or no NumericDate"):
        verify(signed(a_header(), payload.encode()))


def test_tk_10_a_number_too_long_to_be_read_is_refused(verify: TokenVerifier) -> None:
    """Thousands of digits cost nothing: Python refuses to read them, and so do we."""
    payload = f'{json.dumps(some_claims(exp=ABSENT))[:-1]}, "exp": {"9" * 5000}}}'
    with pytest.raises(InvalidToken, match="no JSON"):
        verify(signed(a_header(), payload.encode()))


@pytest.mark.parametrize("name", ["iat", "nbf"])
def test_tk_10_a_start_in_the_future_is_refused_beyond_60_seconds(verify: TokenVerifier, name: str) -> None:
    """Clocks may differ by a minute, not by more."""
    just_in_time: dict[str, Any] = {name: NOW + 60}
    too_early: dict[str, Any] = {name: NOW + 61}
    verify(a_token(**just_in_time))
    with pytest.raises(InvalidToken, match="not yet valid"):
        verify(a_token(**too_early))


def test_tk_10_an_expired_token_is_refused_beyond_60_seconds(verify: TokenVerifier) -> None:
    """On or after exp, plus the leeway, it MUST NOT be accepted (RFC 7519 4.1.4)."""
    verify(a_token(exp=NOW - 59))
    for seconds in (60, 61):
        with pytest.raises(InvalidToken, match="expired"):
            verify(a_token(exp=NOW - seconds))


def test_tk_11_an_edited_account_breaks_the_signature(verify: TokenVerifier) -> None:
    """Whoever belongs to one account cannot write another into the token."""
    header, _, signature = a_token().split(".")
    edited = some_claims(account={"id": "a-18", "slug": "westbrook", "audience": "team"})
    with pytest.raises(InvalidToken, match="signature"):
        verify(f"{header}.{b64(json.dumps(edited).encode())}.{signature}")


def test_tk_11_a_key_that_is_not_published_signs_nothing(verify: TokenVerifier) -> None:
    """A right kid with a wrong key is a forgery."""
    with pytest.raises(InvalidToken, match="signature"):
        verify(signed(a_header(ES256), some_claims(), NEXT_ES256))


def test_tk_11_the_same_person_in_two_accounts_has_two_tokens(verify: TokenVerifier) -> None:
    """One sub, two accounts: each token opens its own account only."""
    here = Requirement(account="a-17")
    assert verify(a_token(), here).account
    from_the_other = a_token(account={"id": "a-18", "slug": "westbrook", "audience": "team"})
    with pytest.raises(InsufficientPrivilege, match="another account"):
        verify(from_the_other, here)


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://login.other.example"},
        {"issuer": f"{ISSUER}/"},
        {"issuer": None},
        {"jwks_uri": "https://keys.evil.example/jwks.json"},
        {"jwks_uri": "http://login.ims.example/oauth/jwks.json"},
        {"jwks_uri": "https://login.ims.example:8443/oauth/jwks.json"},
        {"jwks_uri": "https://login.ims.example@evil.example/jwks.json"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": None},
    ],
    ids=repr,
)
def test_tk_18_metadata_of_another_issuer_is_not_believed(
    issuer: LocalIssuer, verify: TokenVerifier, metadata: dict[str, Any]
) -> None:
    """The document's issuer MUST be the one asked for (OpenID Discovery 4.3); its keys are at that origin."""
    issuer.metadata |= metadata
    with pytest.raises(KeysUnavailable):
        verify(a_token())
    assert issuer.asked == [f"{ISSUER}/.well-known/openid-configuration"]


def _hostile_tokens() -> dict[str, str]:
    bomb = {"alg": "RSA-OAEP-256", "enc": "A256GCM", "zip": "DEF", "kid": "rs-1", "typ": "at+jwt"}
    stretch = {"alg": "PBES2-HS512+A256KW", "enc": "A256GCM", "p2c": 2**31, "p2s": "AAAA", "typ": "at+jwt"}
    return {
        "100 MB": "A" * 100_000_000,
        "dots": "." * 16_000,
        "JWE with a bomb": f"{b64(json.dumps(bomb).encode())}.AAAA.AAAA.AAAA.AAAA",
        "JWE with a slow key": f"{b64(json.dumps(stretch).encode())}.AAAA.AAAA.AAAA.AAAA",
        "long deep header": f"{b64(b'[' * 10_000)}.{b64(b'{}')}.AAAA",
        "deep header": f"{b64(b'[' * 380)}.{b64(b'{}')}.AAAA",
        "deep claims": signed(a_header(), DEEP),
    }


def test_tk_21_a_hostile_size_costs_nothing(verify: TokenVerifier) -> None:
    """Each is refused within 50 ms of work: too long, encrypted, or nested beyond reason."""
    verify.prefetch()
    for name, token in _hostile_tokens().items():
        before = real_time.thread_time()
        with pytest.raises(InvalidToken):
            verify(token)
        assert real_time.thread_time() - before < 0.05, name


def test_tk_21_claims_nested_beyond_reason_are_refused(verify: TokenVerifier) -> None:
    """Even when the issuer signed them: the parser's limit is a refusal, not a crash."""
    with pytest.raises(InvalidToken, match="payload is no JSON"):
        verify(signed(a_header(), DEEP))


@pytest.mark.parametrize("case", sorted(Attacks(ISSUER, NOW).all()))
def test_every_token_that_others_are_compared_with_is_refused(verify: TokenVerifier, case: str) -> None:
    """tests/interop/test_recipes_attacks.py asks PyJWT and jose the same; each good one passes."""
    attacks = Attacks(ISSUER, NOW)
    for name, token in attacks.all()[case].items():
        with pytest.raises(InvalidToken):
            pytest.fail(f"{name}: {verify(token)}")
    for token in attacks.good().values():
        verify(token)
