"""The service as a real process for clients and verifiers that are not ours, which reach it over HTTP."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from joserfc.jwk import ECKey

from authsvc.clock import SystemClock
from authsvc.crypto.passwords import Passwords
from tests.support.remote import RemotePerson, Served, served
from tests.support.service import CLIENT_SECRET, PASSWORD, make_ring

API = "https://api.ims.test/investors"
CALLBACK, DONE = "https://portal.ims.test/callback", "https://portal.ims.test/"
SCOPE = "openid profile email offline_access investors.read"
#: Each signs in once. One network address may cause twenty messages an hour (policies/throttle.yaml).
PEOPLE = 40
PERSON = '      - {email: p%d@northgate.example, name: Person %d, email_verified: true, password_hash: "%s"}\n'
#: One hash that costs nothing, for all: provisioning would make a costly one for each.
HASH = Passwords(memory_kib=8, iterations=1, parallelism=1).hash(PASSWORD)
ACCOUNT = f"""
schema: authsvc/config/1
accounts:
  - slug: northgate
    name: Northgate Capital Partners
    portal_url: {DONE}
    mfa: {{team: {{enabled: true, methods: [email]}}}}
    members:
"""
CLIENT = f"""
    client_name: Portal
    redirect_uris: [{CALLBACK}]
    post_logout_redirect_uris: [{DONE}]
    grant_types: [authorization_code, refresh_token, "urn:ietf:params:oauth:grant-type:device_code"]
    scope: {SCOPE}
"""
_KEY = ECKey.generate_key("P-256", {"kid": "signer-1", "alg": "ES256", "use": "sig"})
#: The key of the client that authenticates and signs its requests with one.
CLIENT_JWK = json.dumps(_KEY.as_dict(private=True))
CLIENT_PUBLIC_JWK = json.dumps(_KEY.as_dict(private=False))
SECRET = "    client_secret: {env: PORTAL_SECRET}"
PROVISIONING = f"""
{ACCOUNT}{"".join(PERSON % (n, n, HASH) for n in range(PEOPLE))}
clients:
  - client_id: basic
{SECRET}{CLIENT}
  - client_id: post
    token_endpoint_auth_method: client_secret_post
    id_token_signed_response_alg: RS256
{SECRET}{CLIENT}
  - client_id: app
    token_endpoint_auth_method: none{CLIENT}
  - client_id: signer
    token_endpoint_auth_method: private_key_jwt
    token_endpoint_auth_signing_alg: ES256
    request_object_signing_alg: ES256
    jwks: {{keys: [{CLIENT_PUBLIC_JWK}]}}{CLIENT}
  - client_id: machine
    client_name: Nightly job
    grant_types: [client_credentials]
    scope: investors.read
{SECRET}
resource_servers:
  - identifier: {API}
    scopes: [investors.read]
"""
METHODS = {
    "basic": "client_secret_basic",
    "post": "client_secret_post",
    "app": "none",
    "signer": "private_key_jwt",
    "machine": "client_secret_basic",
}


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`authsvc serve` with SQLite, provisioned from a file, for all tests of this folder."""
    folder = tmp_path_factory.mktemp("interop")
    make_ring(folder / "keys", SystemClock())  # with a small RSA key
    # Apache's site is on this machine, and wants to hear of sign-outs there.
    with served(folder, PROVISIONING, AUTHSVC_ALLOW_LOOPBACK_CLIENTS="1") as service:
        yield service


@pytest.fixture(scope="session")
def somebody() -> Callable[[], str]:
    """The address of a person whom no other test has signed in: codes are limited for each."""
    numbers = itertools.count()
    return lambda: f"p{next(numbers)}@northgate.example"


@dataclass
class Walk:
    """A finished authorization code flow, as Authlib's own client went through it."""

    client: OAuth2Session
    person: RemotePerson
    metadata: dict[str, Any]
    tokens: dict[str, Any]
    #: What the client had sent and remembers.
    nonce: str
    #: The address at which the person came back.
    landed_at: str
    verifier: str


@pytest.fixture
def walk(live: Served, somebody: Callable[[], str]) -> Iterator[Callable[..., Walk]]:
    """Goes through the code flow with a client; everything the client knows of us is from discovery."""
    clients = []

    def go(client_id: str, **params: str) -> Walk:
        client, address = open_client(client_id), somebody()
        clients.append(client)
        metadata = client.get(f"{live.issuer}/.well-known/openid-configuration", withhold_token=True).json()
        verifier, nonce = generate_token(64), generate_token(20)
        url, state = client.create_authorization_url(
            metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce, **params
        )
        person = RemotePerson(live.issuer)
        before = live.messages_to(address)
        person.open(url.removeprefix(live.issuer))
        person.submit(email=address, password=PASSWORD)
        person.submit(code=live.code_for(address, after=before))
        assert person.left_for is not None
        tokens = client.fetch_token(
            metadata["token_endpoint"], authorization_response=person.left_for, state=state, code_verifier=verifier
        )
        return Walk(client, person, metadata, dict(tokens), nonce, person.left_for, verifier)

    yield go
    for client in clients:
        client.close()


def open_client(client_id: str) -> OAuth2Session:
    """Authlib's client, as its documentation sets it up."""
    method = METHODS[client_id]
    client = OAuth2Session(
        client_id,
        None if method == "none" else CLIENT_SECRET,
        token_endpoint_auth_method=method,
        scope=None if client_id == "machine" else SCOPE,
        redirect_uri=CALLBACK,
        code_challenge_method="S256",
        default_timeout=10,
    )
    client.trust_env = False
    return client
