"""Two processes of `authsvc serve` on one PostgreSQL and one Redis, every request at the other one; then one dies."""

from __future__ import annotations

import json
import os
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import requests

from tests.support.databases import ON_POSTGRESQL
from tests.support.proxy import Balancer
from tests.support.remote import RemotePerson, on_postgres, served_twice
from tests.support.service import PASSWORD, pkce

pytestmark = ON_POSTGRESQL

DANA, CALLBACK = "dana@northgate.example", "https://portal.northgate.example/callback"
PROVISIONING = f"""
schema: authsvc/config/1
accounts:
  - slug: northgate
    name: Northgate Capital Partners
    portal_url: https://portal.northgate.example
    mfa: {{team: {{enabled: true, methods: [email]}}}}
    members:
      - {{email: {DANA}, name: Dana Whitfield, email_verified: true, password: {{env: DEMO_PASSWORD}}}}
clients:
  - client_id: ims-portal
    client_name: IMS portal
    client_secret: {{env: PORTAL_SECRET}}
    token_endpoint_auth_method: client_secret_basic
    grant_types: [authorization_code, refresh_token]
    redirect_uris: ["{CALLBACK}"]
    scope: openid offline_access
"""


class Dana(RemotePerson):
    """Dana, and the portal that she signs in to; each of their requests on a connection of its own."""

    def __init__(self, issuer: str) -> None:
        super().__init__(issuer)
        self.http.headers["Connection"] = "close"
        self.verifier, self.challenge = pkce()

    def set_out(self) -> str:
        """Follow the portal's link; answers the heading of the page."""
        asked = {"client_id": "ims-portal", "response_type": "code", "redirect_uri": CALLBACK}
        proof = {"code_challenge": self.challenge, "code_challenge_method": "S256"}
        page = self.open("/oauth/authorize", scope="openid offline_access", state="s", nonce="n", **asked, **proof)
        return page.h1

    def tokens(self) -> dict[str, Any]:
        """What the portal gets for the code that Dana brought back."""
        code = self.callback()["code"]
        return self.token(
            grant_type="authorization_code", code=code, redirect_uri=CALLBACK, code_verifier=self.verifier
        )

    def token(self, **form: str) -> dict[str, Any]:
        """A request of the portal."""
        http = requests.Session()
        http.trust_env = False
        got = http.post(
            f"{self.issuer}/oauth/token",
            data=form,
            auth=("ims-portal", "portal-secret-0123456789"),
            headers={"Connection": "close"},
            timeout=30,
        )
        assert got.status_code == 200, got.text
        tokens: dict[str, Any] = got.json()
        return tokens


def turns(balancer: Balancer) -> list[int]:
    """Which replica took each request, by its port."""
    return [target[1] for target in balancer.reached if isinstance(target, tuple)]


def test_a_sign_in_goes_on_at_another_replica_and_after_one_was_killed(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    """No step finds what it needs in the memory of the process that answered the step before.

    Password, code, "remember me", redemption, refresh and UserInfo, turn and turn about; then, with Dana at her password
    again, kill -9 of the replica that showed her the page. She is signed in without a code and nobody notices.
    """
    settings = {**on_postgres(database_url), "AUTHSVC_REDIS_URL": redis_url}
    with served_twice(tmp_path, PROVISIONING, **settings) as (replicas, balancer):
        dana = Dana(replicas[0].issuer)
        assert dana.set_out() == "Sign in"
        assert dana.submit(email=DANA, password=PASSWORD).h1 == "Enter your code"
        dana.submit(code=replicas[0].code_for(DANA, after=0), remember="1")
        tokens = dana.tokens()
        refreshed = dana.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        bearer = {"Authorization": f"Bearer {refreshed['access_token']}"}
        assert dana.http.get(f"{dana.issuer}/oauth/userinfo", headers=bearer, timeout=30).status_code == 200
        dana.open("/sign-out")
        dana.submit()
        assert dana.set_out() == "Sign in"
        assert len(turns(balancer)) > 10
        assert all(one != next_one for one, next_one in pairwise(turns(balancer)))

        shown_by = turns(balancer)[-1]
        [killed] = [r for r in replicas if r.environment["AUTHSVC_BIND"].endswith(f":{shown_by}")]
        [left] = [r for r in replicas if r is not killed]
        os.killpg(killed.process.pid, signal.SIGKILL)
        killed.process.process.wait(60)
        dana.submit(email=DANA, password=PASSWORD)
        assert dana.callback()["state"] == "s"  # the device is remembered: no code was asked for
        again = dana.token(grant_type="refresh_token", refresh_token=dana.tokens()["refresh_token"])
        assert again["access_token"]
        assert set(turns(balancer)[-3:]) == {int(left.environment["AUTHSVC_BIND"].rpartition(":")[2])}
        assert json.loads(left.run("audit", "verify", "--json"))["valid"]
