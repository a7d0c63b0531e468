"""TK-01 to TK-11, TK-18 and TK-21 against the kit, and against PyJWT, jose, and the page's recipe for jose.

The kit must refuse everything. What the others make of it is recorded as a fact, with PyJWT 2.15 and jose 6.2 used as their
own documentation shows: it is why the kit exists, and what the recipe adds. Most of these tokens only the issuer itself could
have signed; the types of TK-07 and TK-18 it does sign.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest

from authsvc.resource_server import InvalidToken, TokenVerifier
from authsvc.resource_server.mock_server import MockServer
from tests.interop.test_recipes import BLOCKS
from tests.interop.test_recipes import ISSUER as ISSUER_OF_THE_PAGE
from tests.support.install import NODE_FOLDER
from tests.unit.resource_server.attacks import TRAP, Attacks
from tests.unit.resource_server.local_issuer import ABSENT, AUDIENCE, EDDSA, ES256, RS256, a_header, b64

ALGORITHMS = ["ES256", "RS256", "EdDSA"]
DISCOVERY, JWKS = "/.well-known/openid-configuration", "/oauth/jwks"

BOTH = {"PyJWT": "accepts", "jose": "accepts"}
PYJWT, JOSE = {"PyJWT": "accepts"}, {"jose": "accepts"}
#: Every outcome of others that is not "refuses". What the recipe accepts is harmless: one more spelling of a good signature,
#: and an end or a depth that the issuer would have to sign.
FACTS: dict[str, dict[str, dict[str, str]]] = {
    "tk_04": {"absent": JOSE},
    "tk_05": {'{"b64": false}': JOSE, '{"crit": ["b64"], "b64": true}': BOTH},
    "tk_06": {"a line feed behind": JOSE, "a second spelling of the signature": {**JOSE, "recipe": "accepts"}},
    "tk_07": {
        f"typ {typ!r}": BOTH for typ in (ABSENT, "JWT", "logout+jwt", "oauth-authz-req+jwt", "", None, ["at+jwt"])
    },
    "tk_10": {
        "exp absent": BOTH,
        "exp text": PYJWT,
        "exp 1e400": JOSE,
        "exp 1e15": {**BOTH, "recipe": "accepts"},
        "iat absent": BOTH,
        "iat in an hour": JOSE,
        "nbf text": PYJWT,
    },
    "tk_18": dict.fromkeys(("without nonce", "with a nonce", "nonce_supported false", "wrong at_hash"), BOTH),
    "tk_21": {"2 MB, signed": BOTH, "deep claims, signed": {**JOSE, "recipe": "accepts"}},
}


@dataclass
class Site:
    """An issuer with three keys on this machine; `asked`: the paths that were asked for."""

    server: MockServer = field(init=False)
    asked: list[str] = field(default_factory=list)
    is_down: bool = False

    def __post_init__(self) -> None:
        self.server = MockServer(self.answer)
        self.url = self.server.url

    def answer(self, path: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, Mapping[str, str], bytes]:
        """Discovery, or keys; also to who follows the trap."""
        self.asked.append(path)
        if self.is_down:
            return 503, {}, b""
        if path == DISCOVERY:
            return 200, {}, json.dumps({"issuer": self.url, "jwks_uri": self.url + JWKS}).encode()
        keys = [key.as_dict(private=False) for key in (ES256, RS256, EDDSA)]
        return 200, {"Content-Type": "application/json"}, json.dumps({"keys": keys}).encode()


class Judges:
    """Four verifiers of the same issuer's tokens. Each says: accepts, refuses, or fails."""

    def __init__(self, site: Site, node: subprocess.Popen[str]) -> None:
        self.site, self._node = site, node
        self._ours = TokenVerifier(site.url, AUDIENCE)
        self._pyjwt_keys = jwt.PyJWKClient(site.url + JWKS)

    def outcomes(self, token: str) -> dict[str, str]:
        """By verifier."""
        return {"kit": self.kit(token), "PyJWT": self.pyjwt(token), **self.node(token)}

    def kit(self, token: str) -> str:
        """Ours."""
        return _outcome(self._ours, token, InvalidToken)

    def pyjwt(self, token: str) -> str:
        """As PyJWT's documentation shows it for a JWKS endpoint, and with the algorithms named."""

        def decode(token: str) -> Any:
            key = self._pyjwt_keys.get_signing_key_from_jwt(token)
            return jwt.decode(token, key, algorithms=ALGORITHMS, audience=AUDIENCE, issuer=self.site.url, leeway=60)

        return _outcome(decode, token, jwt.PyJWTError)

    def bare_jose(self, token: str) -> dict[str, str]:
        """jose without the recipe."""
        return self.node(token, "jose")

    def node(self, token: str, *only: str) -> dict[str, str]:
        """Bare jose, and the recipe of the page."""
        assert self._node.stdin is not None
        assert self._node.stdout is not None
        self._node.stdin.write(json.dumps({"token": token, "only": only}) + "\n")
        self._node.stdin.flush()
        found: dict[str, str] = json.loads(self._node.stdout.readline())
        return found


def _outcome(judge: Callable[[str], Any], token: str, refusal: type[Exception]) -> str:
    try:
        judge(token)
    except refusal:
        return "refuses"
    except Exception as error:
        return f"fails: {type(error).__name__}"
    return "accepts"


@contextmanager
def judging() -> Iterator[Judges]:
    """Judges that have seen nothing yet, and their issuer."""
    site = Site()
    (recipe,) = (code for title, _, code in BLOCKS if title == "Node (jose)")
    code = recipe.replace(ISSUER_OF_THE_PAGE, site.url) + (NODE_FOLDER / "judge.mjs").read_text()
    with (
        site.server.serving(),
        subprocess.Popen(
            ["node", "--input-type=module", "--eval", code],
            cwd=NODE_FOLDER,
            env={**os.environ, "JWKS": site.url + JWKS},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as node,
    ):
        yield Judges(site, node)
        assert node.stdin is not None
        node.stdin.close()
        assert node.wait(20) == 0


@pytest.fixture(scope="module")
def judges() -> Iterator[Judges]:
    with judging() as judges:
        yield judges


@pytest.fixture
def attacks(judges: Judges) -> Attacks:
    return Attacks(judges.site.url, int(time.time()))


def test_good_tokens_are_accepted_by_all(judges: Judges, attacks: Attacks) -> None:
    """Or a refusal would mean nothing."""
    for name, token in attacks.good().items():
        assert set(judges.outcomes(token).values()) == {"accepts"}, name


CASES = tuple(f"tk_{number:02}" for number in (*range(1, 12), 18, 21))


@pytest.mark.parametrize("case", CASES)
def test_every_attack_is_refused(judges: Judges, attacks: Attacks, case: str) -> None:
    """By the kit and by the recipe, all of them; by the others except where FACTS says so."""
    found: dict[str, dict[str, str]] = {}
    for name, token in attacks.all()[case].items():
        outcomes = judges.outcomes(token)
        assert outcomes.pop("kit") == "refuses", name
        if others := {verifier: outcome for verifier, outcome in outcomes.items() if outcome != "refuses"}:
            found[name] = others
    assert found == FACTS.get(case, {})


def test_tk_03_no_header_makes_anybody_call(judges: Judges, attacks: Attacks) -> None:
    """Keys come from the issuer's own set alone."""
    for token in attacks.all()["tk_03"].values():
        judges.outcomes(token)
    assert TRAP not in judges.site.asked


def test_tk_04_how_often_the_issuer_is_asked_for_keys(attacks: Attacks) -> None:
    """50 key ids that somebody made up: nobody asks again within 30 s. While the issuer fails, only the kit leaves it alone."""
    _, payload, signature = attacks.token().split(".")
    made_up = [b64(json.dumps(a_header(kid=secrets.token_hex(8))).encode()) for _ in range(50)]
    asked: dict[str, dict[str, int]] = {"up": {}, "down": {}}
    for state, is_down in (("up", False), ("down", True)):
        with judging() as judges:
            for name, judge in {"kit": judges.kit, "PyJWT": judges.pyjwt, "jose": judges.bare_jose}.items():
                judges.site.is_down = False
                token = Attacks(judges.site.url, int(time.time())).token()
                if not is_down:
                    judge(token)
                judges.site.is_down = is_down
                judges.site.asked.clear()
                for header in made_up:
                    judge(f"{header}.{payload}.{signature}")
                asked[state][name] = len(judges.site.asked)
    assert asked == {"up": {"kit": 0, "PyJWT": 0, "jose": 0}, "down": {"kit": 1, "PyJWT": 50, "jose": 50}}
