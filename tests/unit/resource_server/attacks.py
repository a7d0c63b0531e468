"""The tokens of the attack cases TK-01 to TK-11, TK-18 and TK-21 (security.md 3.2), for any verifier of an issuer's tokens."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from joserfc.jwk import ECKey

from tests.unit.resource_server.local_issuer import (
    ABSENT,
    AUDIENCE,
    EDDSA,
    ES256,
    RS256,
    a_header,
    b64,
    signed,
    some_claims,
)

#: Where the headers of TK-03 point.
TRAP = "/trap/keys.json"


def public_forms() -> dict[str, bytes]:
    """The public RSA key in each form that a careless verifier might take for an HMAC secret."""
    pem, jwk = RS256.as_pem(private=False), RS256.as_dict(private=False)
    return {
        "PEM": pem,
        "PEM with CRLF": pem.replace(b"\n", b"\r\n"),
        "PEM behind a space": b" " + pem,
        "PEM behind a comment": b"# a comment\n" + pem,
        "DER": RS256.as_der(private=False),
        "JWK": json.dumps(jwk).encode(),
        "n": str(jwk["n"]).encode(),
    }


@dataclass(frozen=True)
class Attacks:
    """For an issuer at this address, at this instant (seconds since 1970)."""

    issuer: str
    now: int

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Good ones, but for `changes`."""
        times = {"iat": self.now, "exp": self.now + 300, "auth_time": self.now}
        return some_claims(**{"iss": self.issuer, **times, **changes})

    def token(self, **changes: Any) -> str:
        """A token signed by the issuer, good but for `changes` to its claims."""
        return signed(a_header(), self.claims(**changes))

    def headed(self, **changes: Any) -> str:
        """A token signed by the issuer, good but for `changes` to its header."""
        return signed(a_header(**changes), self.claims())

    def good(self) -> dict[str, str]:
        """What every verifier must accept, for a refusal to mean anything."""
        keys = {"ES256": ES256, "RS256": RS256, "EdDSA": EDDSA}
        tokens = {name: signed(a_header(key), self.claims(), key) for name, key in keys.items()}
        return tokens | {"aud as a list": self.token(aud=["https://api.ims.example/exports", AUDIENCE])}

    def all(self) -> dict[str, dict[str, str]]:
        """The tokens by attack case and name."""
        cases = {
            "tk_01": self.unsigned(),
            "tk_02": self.confused_keys(),
            "tk_03": self.keys_in_the_header(),
            "tk_04": self.odd_key_ids(),
            "tk_05": self.critical_extensions(),
            "tk_06": self.other_forms(),
            "tk_07": self.other_types(),
            "tk_08": self.other_audiences(),
            "tk_09": self.other_issuers(),
            "tk_10": self.wrong_times(),
            "tk_11": self.edited(),
            "tk_18": self.id_tokens(),
            "tk_21": self.hostile_sizes(),
        }
        return {case: dict(tokens) for case, tokens in cases.items()}

    def unsigned(self) -> Iterator[tuple[str, str]]:
        """TK-01."""
        payload = b64(json.dumps(self.claims()).encode())
        for alg in ("none", "None", "nOnE", "", ABSENT):
            header = b64(json.dumps(a_header(alg=alg)).encode())
            yield f"alg {alg!r}", f"{header}.{payload}."
            yield f"alg {alg!r} and something", f"{header}.{payload}.AAAA"
        yield "empty signature", self.token().rpartition(".")[0] + "."

    def confused_keys(self) -> Iterator[tuple[str, str]]:
        """TK-02."""
        for alg in ("HS256", "RS256"):
            signing_input = (
                f"{b64(json.dumps(a_header(RS256, alg=alg)).encode())}.{b64(json.dumps(self.claims()).encode())}"
            )
            for form, secret in public_forms().items():
                signature = hmac.new(secret, signing_input.encode(), sha256).digest()
                yield f"{alg}, HMAC with {form}", f"{signing_input}.{b64(signature)}"
        yield "alg of another key", signed(a_header(ES256, alg="RS256"), self.claims(), ES256)

    def keys_in_the_header(self) -> Iterator[tuple[str, str]]:
        """TK-03: signed with the attacker's key, which the header brings or names."""
        intruder = ECKey.generate_key("P-256", {"kid": "es-1", "alg": "ES256"})
        for name in ("jwk", "jku", "x5u", "x5c"):
            value = {"jwk": intruder.as_dict(private=False), "x5c": ["MIIB"]}.get(name, self.issuer + TRAP)
            for kid in ("es-1", "mine"):
                yield (
                    f"{name}, kid {kid}",
                    signed(a_header(intruder, kid=kid, **{name: value}), self.claims(), intruder),
                )

    def odd_key_ids(self) -> Iterator[tuple[str, str]]:
        """TK-04: a good signature, but the key is not the one that the header names."""
        for name, kid in {
            "a path": "../../dev/null",
            "SQL": "' or 1=1",
            "empty": "",
            "absent": ABSENT,
            "null": None,
            "a number": 7,
            "a list": ["es-1"],
            "long": "k" * 300,
            "unknown": "es-9",
        }.items():
            yield name, self.headed(kid=kid)

    def critical_extensions(self) -> Iterator[tuple[str, str]]:
        """TK-05."""
        for extension in (
            {"crit": ["bork"]},
            {"crit": ["bork"], "bork": True},
            {"crit": []},
            {"crit": 1},
            {"crit": ["b64"], "b64": False},
            {"crit": ["b64"], "b64": True},
            {"b64": False},
        ):
            yield json.dumps(extension), self.headed(**extension)

    def other_forms(self) -> Iterator[tuple[str, str]]:
        """TK-06."""
        protected, payload, signature = self.token().split(".")
        good, bad = {"protected": protected, "signature": signature}, {"protected": protected, "signature": "AAAA"}
        yield "JSON without signatures", json.dumps({"payload": payload, "signatures": []})
        yield "flattened JSON", json.dumps({"payload": payload, **good})
        yield "JSON, one signature bad", json.dumps({"payload": payload, "signatures": [good, bad]})
        yield "nothing", ""
        yield "two dots", ".."
        yield "a fourth part", f"{self.token()}."
        yield "a space before", f" {self.token()}"
        yield "a line feed behind", f"{self.token()}\n"
        yield "padded", f"{self.token()}="
        yield "detached payload", f"{protected}..{signature}"
        last = signature[-1]
        yield "a second spelling of the signature", f"{protected}.{payload}.{signature[:-1]}{_other_ending(last)}"

    def other_types(self) -> Iterator[tuple[str, str]]:
        """TK-07."""
        for typ in (ABSENT, "JWT", "logout+jwt", "oauth-authz-req+jwt", "", None, ["at+jwt"]):
            yield f"typ {typ!r}", self.headed(typ=typ)
        yield "refresh token", "rt_6pW1c0QmUo3kJ9"
        yield "request_uri", "urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c"

    def other_audiences(self) -> Iterator[tuple[str, str]]:
        """TK-08."""
        exports = "https://api.ims.example/exports"
        for aud in (
            ABSENT,
            exports,
            [exports, "ims-portal"],
            AUDIENCE + "/",
            AUDIENCE.upper(),
            [],
            {AUDIENCE: 1},
            None,
        ):
            yield f"aud {aud!r}", self.token(aud=aud)

    def other_issuers(self) -> Iterator[tuple[str, str]]:
        """TK-09."""
        twin = self.issuer.replace("i", "\u0456", 1) if "i" in self.issuer else self.issuer.replace("1", "\u0661", 1)
        for name, iss in {
            "absent": ABSENT,
            "null": None,
            "slash": f"{self.issuer}/",
            "another": "https://login.other.example",
            "longer": f"{self.issuer}.evil.example",
            "twin": twin,
            "upper case": self.issuer.upper(),
            "a list": [self.issuer],
        }.items():
            yield name, self.token(iss=iss)

    def wrong_times(self) -> Iterator[tuple[str, str]]:
        """TK-10."""
        for name, value in {
            "absent": ABSENT,
            "null": None,
            "text": str(self.now + 300),
            "true": True,
            "-1": -1,
        }.items():
            yield f"exp {name}", self.token(exp=value)
        for literal in ("NaN", "Infinity", "1e400", "1e15"):
            payload = json.dumps(self.claims()).replace(f'"exp": {self.now + 300}', f'"exp": {literal}')
            assert literal in payload
            yield f"exp {literal}", signed(a_header(), payload.encode())
        yield "expired 61 s ago", self.token(exp=self.now - 61)
        yield "iat in an hour", self.token(iat=self.now + 3_600)
        yield "iat absent", self.token(iat=ABSENT)
        yield "nbf in an hour", self.token(nbf=self.now + 3_600)
        yield "nbf text", self.token(nbf=str(self.now))

    def edited(self) -> Iterator[tuple[str, str]]:
        """TK-11: a claim changed behind the signature."""
        header, _, signature = self.token().split(".")
        account = {"id": "a-18", "slug": "westbrook", "audience": "team"}
        for name, changes in {
            "account": {"account": account},
            "acr": {"acr": "phr"},
            "scope": {"scope": "all"},
        }.items():
            yield name, f"{header}.{b64(json.dumps(self.claims(**changes)).encode())}.{signature}"

    def id_tokens(self) -> Iterator[tuple[str, str]]:
        """TK-18: ID tokens, with and without what a relying party checks, are no access tokens."""
        for name, changes in {
            "without nonce": {},
            "with a nonce": {"nonce": "n"},
            "nonce_supported false": {"nonce_supported": False},
            "wrong at_hash": {"at_hash": "AAAA"},
        }.items():
            claims = self.claims(azp="ims-portal", **changes)
            yield name, signed(a_header(typ="JWT"), claims)

    def hostile_sizes(self) -> Iterator[tuple[str, str]]:
        """TK-21."""
        bomb = {"alg": "RSA-OAEP-256", "enc": "A256GCM", "zip": "DEF", "kid": "rs-1", "typ": "at+jwt"}
        stretch = {"alg": "PBES2-HS512+A256KW", "enc": "A256GCM", "p2c": 2**31, "p2s": "AAAA", "typ": "at+jwt"}
        yield "2 MB of nothing", "A" * 2_000_000
        yield "2 MB, signed", self.token(padding="A" * 2_000_000)
        yield "dots", "." * 16_000
        yield "JWE with a bomb", f"{b64(json.dumps(bomb).encode())}.AAAA.AAAA.AAAA.AAAA"
        yield "JWE with a slow key", f"{b64(json.dumps(stretch).encode())}.AAAA.AAAA.AAAA.AAAA"
        yield "deep header", f"{b64(b'[' * 10_000)}.{b64(b'{}')}.AAAA"
        deep = json.dumps(self.claims(x=0)).replace('"x": 0', '"x": ' + "[" * 5_000 + "]" * 5_000)
        yield "deep claims, signed", signed(a_header(), deep.encode())


def _other_ending(last: str) -> str:
    """The last character of 64 octets in base64url holds two bits; another one with the same two decodes alike."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return alphabet[alphabet.index(last) ^ 1]
