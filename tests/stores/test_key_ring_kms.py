"""Keys that AWS KMS holds, asked over real HTTP: they sign as ours do, never leave, and their absence is noticed."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from boto3.session import Session as AwsSession
from botocore.stub import Stubber
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import func, select, update

from authsvc.aws import AwsClients
from authsvc.crypto.seal import Sealer
from authsvc.db import Database
from authsvc.keyring.errors import KeyUnreadable, KmsUnavailable
from authsvc.keyring.kms import LARGEST_MESSAGE, Kms, KmsEcKey, signer_of
from authsvc.keyring.models import SigningKeyRow
from authsvc.keyring.table import LOCK, NOTICED_WITHIN
from authsvc.resource_server import TokenVerifier
from tests.support.aws import CREDENTIALS, REGION, forget_everything, gate, moto_server
from tests.support.key_ring import RULES, SECRET, SMALL_RSA_BITS, Table, rotates, signed, verifies
from tests.support.processes import free_port


@pytest.fixture(scope="module")
def aws_server() -> Iterator[str]:
    """One server for this file."""
    with moto_server() as url:
        yield url


@pytest.fixture
def aws(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of an AWS in which nothing is yet."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    forget_everything(aws_server)
    return aws_server


@pytest.fixture
def home(database_url: str, aws: str) -> Iterator[Table]:
    """An empty ring whose keys will be made in KMS."""
    table = Table(database_url, url=f"kms:{REGION}", aws_endpoint_url=aws)
    yield table
    table.close()


def kms(aws: str) -> Any:
    """A client of the test's own."""
    return AwsSession().client("kms", region_name=REGION, endpoint_url=aws)


def states(aws: str) -> list[str]:
    """The state of every key in KMS, sorted."""
    client = kms(aws)
    listed = client.list_keys()["Keys"]
    return sorted(client.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] for key in listed)


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_a_key_in_kms_signs_what_anybody_verifies(home: Table, algorithm: str) -> None:
    """joserfc signs through it unchanged; the published key says that the signature is good."""
    ring = home.open()
    ring.rotate(algorithm, rules=RULES, rsa_bits=SMALL_RSA_BITS)
    token = jwt.encode({"alg": algorithm}, {"sub": "u"}, ring.active_as_key_set(algorithm))
    published = KeySet.import_key_set(ring.public_jwks())
    assert jwt.decode(token, published, algorithms=[algorithm]).header["kid"] == ring.active(algorithm).kid
    replica = home.open()
    assert verifies(replica, token)
    assert verifies(ring, signed(replica, algorithm))


def test_the_kit_trusts_what_kms_signed(home: Table) -> None:
    """From a client's side there is no difference."""
    ring = home.with_es256()
    now = int(home.clock.now().timestamp())
    claims = {
        "iss": "https://a.test",
        "aud": "api",
        "sub": "u",
        "client_id": "c",
        "jti": "j",
        "iat": now,
        "exp": now + 60,
    }
    token = jwt.encode({"alg": "ES256", "typ": "at+jwt"}, claims, ring.active_as_key_set("ES256"))

    def fetch(url: str) -> tuple[bytes, dict[str, str]]:
        jwks_uri = "https://a.test/jwks"
        return json.dumps(
            ring.public_jwks() if url == jwks_uri else {"issuer": "https://a.test", "jwks_uri": jwks_uri}
        ).encode(), {}

    verify = TokenVerifier("https://a.test", "api", fetch=fetch, now=lambda: float(now))
    assert verify(token).sub == "u"


def test_the_private_key_never_leaves_kms(home: Table) -> None:
    """The row holds the ARN; nothing on this side can give the key out."""
    ring = home.with_es256()
    [entry] = ring.entries()
    assert entry.private.startswith(f"arn:aws:kms:{REGION}:")
    key = ring.active("ES256").key
    assert set(key.as_dict(private=True)) <= {"kty", "crv", "x", "y", "use", "alg", "kid"}
    raw: Any = key.raw_value
    for give_out in (raw.private_bytes, raw.private_numbers, raw.exchange):
        with pytest.raises(TypeError, match="never leaves"):
            give_out()
    with home.databases[0].transaction(read_only=True) as tx:
        row = tx.scalars(select(SigningKeyRow)).one()
    kept = json.loads(Sealer([SECRET], "keyring").open(row.sealed, where=f"keyring/{row.kid}"))
    assert (set(kept), set(kept["public"])) == ({"arn", "public"}, {"kty", "crv", "x", "y"})


def test_who_writes_to_the_database_cannot_swap_the_key(home: Table) -> None:
    """The ARN of the row and the public half must be the sealed ones."""
    ring = home.with_es256()
    ring.rotate("ES256", rules=RULES)
    other = ring.entries()[1].private
    with home.databases[0].transaction() as tx:
        tx.execute(update(SigningKeyRow).where(SigningKeyRow.position == 1).values(private=other, revision=7))
    with pytest.raises(KeyUnreadable):
        home.open()


def test_no_key_is_made_inside_a_transaction(home: Table) -> None:
    """While KMS is asked, another process can change the ring: the lock is not held."""
    ring = home.with_es256()
    free: list[bool] = []
    watcher = Database(home.database_url, pool=1)
    call = ring._kms.call

    class Watched(Kms):
        def call(self, operation: str, region: str, **arguments: Any) -> dict[str, Any]:
            with watcher.transaction() as tx:
                tx.connection()
                free.append(watcher.is_sqlite or bool(tx.scalar(select(func.pg_try_advisory_xact_lock(LOCK)))))
            return call(operation, region, **arguments)

    ring._maker.kms.__class__ = Watched
    ring.rotate("ES256", rules=RULES)
    assert free == [True, True]
    watcher.dispose()


def test_what_a_slower_replica_made_is_destroyed(home: Table, aws: str) -> None:
    """Nobody pays for a key that no ring has."""
    first, second = home.with_es256(), home.open()
    maker = second._maker
    make = maker.make

    class Slow:
        discard = staticmethod(maker.discard)

        @staticmethod
        def make(algorithm: Any, *, rsa_bits: int) -> Any:
            made = make(algorithm, rsa_bits=rsa_bits)
            first.rotate("ES256", rules=RULES)
            return made

    second._maker = Slow()
    assert not rotates(second)
    assert states(aws) == ["Enabled", "Enabled", "PendingDeletion"]


def test_a_withdrawn_key_is_disabled_in_kms(home: Table, aws: str) -> None:
    """Whoever has the credentials cannot sign with it any more either."""
    ring = home.with_es256()
    withdrawal = ring.withdraw(ring.active("ES256").kid)
    assert withdrawal.warning == ""
    assert states(aws) == ["Disabled", "Enabled"]
    assert verifies(ring, signed(ring))


def test_a_candidate_leaves_nothing_in_kms(home: Table, aws: str) -> None:
    """A rehearsal's key is destroyed."""
    ring = home.with_es256()
    candidate = ring.publish_candidate("ES256", lasts=timedelta(hours=1))
    assert len(ring.public_jwks()["keys"]) == 2
    ring.end_candidate(candidate)
    assert len(ring.public_jwks()["keys"]) == 1
    assert states(aws) == ["Enabled", "PendingDeletion"]


def test_a_process_that_cannot_sign_is_not_ready_and_comes_back(home: Table, aws: str) -> None:
    """KMS says no: a new process stops, a running one says so for readiness, and readiness comes back by itself."""
    with gate(aws) as before_kms:
        home.aws_endpoint_url = before_kms.url
        ring = home.with_es256()
        ring.prove()
        before_kms.disabled.add(ring.entries()[0].private.rpartition("/")[2])
        with pytest.raises(KmsUnavailable, match="DisabledException"):
            signed(ring)
        assert "DisabledException" in str(ring.problem)
        with pytest.raises(KeyUnreadable, match="DisabledException"):
            home.open().prove()
        before_kms.disabled.clear()
        home.clock.advance(NOTICED_WITHIN)
        assert ring.problem is None


def test_a_key_that_never_signed_is_tried_before_it_must(home: Table, aws: str) -> None:
    """The successor of a rotation is looked at by readiness, days before its first token."""
    with gate(aws) as before_kms:
        home.aws_endpoint_url = before_kms.url
        ring = home.with_es256()
        [rotation] = ring.rotate("ES256", rules=RULES)
        before_kms.disabled.add(rotation.successor.private.rpartition("/")[2])
        home.clock.advance(NOTICED_WITHIN)
        assert "DisabledException" in str(ring.problem)
        assert verifies(ring, signed(ring))


def test_kms_that_does_not_answer_is_one_sentence(home: Table) -> None:
    """Nobody listens there: refused within its time-outs, and no local key is made in its place."""
    home.aws_endpoint_url = f"http://127.0.0.1:{free_port()}"
    ring = home.open()
    with pytest.raises(KmsUnavailable, match=r"cannot be asked \(create_key\)"):
        ring.rotate("ES256", rules=RULES)
    assert home.open().entries() == ()


def test_kms_makes_only_what_it_can(home: Table) -> None:
    """Ed25519 is refused before anything is asked."""
    with pytest.raises(KmsUnavailable, match="ES256 and RS256"):
        home.open().rotate("EdDSA", rules=RULES)


def test_an_installation_moves_to_kms_by_rotating(home: Table, aws: str) -> None:
    """Keys of both kinds stand side by side in one ring: tokens of the old one stay good until it is gone."""
    local = Table(home.database_url, clock=home.clock)
    old = signed(local.with_es256())
    ring = home.open()
    [rotation] = ring.rotate("ES256", rules=RULES)
    assert verifies(ring, old)
    assert rotation.successor.private.startswith("arn:")
    home.clock.advance(RULES.publish_ahead)
    assert signer_of(ring.active("ES256").key) is not None
    assert verifies(ring, old)
    still_sql = Table(home.database_url, clock=home.clock, aws_endpoint_url=aws)
    assert verifies(ring, signed(still_sql.open()))
    local.close()
    still_sql.close()


def test_a_long_text_is_hashed_here_and_a_wrong_signature_is_held_back(aws: str) -> None:
    """KMS takes 4096 bytes; moto hashes a digest again, so a stub plays KMS (libraries.md 2.10)."""
    own, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    client, arn, data = kms(aws), f"arn:aws:kms:{REGION}:111122223333:key/k", b"x" * (LARGEST_MESSAGE + 1)
    digest = hashlib.sha256(data).digest()

    class Here(AwsClients):
        def client(self, region: str = "") -> Any:
            assert region == REGION
            return client

    key = KmsEcKey(Kms(clients=Here("kms")), arn, "ES256", own.public_key())  # type: ignore[arg-type]
    asked = {"KeyId": arn, "Message": digest, "MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_256"}
    with Stubber(client) as stub:
        for signer in (own, other):
            signature = signer.sign(digest, ec.ECDSA(Prehashed(SHA256())))
            stub.add_response(
                "sign", {"KeyId": arn, "Signature": signature, "SigningAlgorithm": "ECDSA_SHA_256"}, asked
            )
        good = key.sign(data, ec.ECDSA(SHA256()))
        own.public_key().verify(good, data, ec.ECDSA(SHA256()))
        with pytest.raises(KmsUnavailable, match="another key"):
            key.sign(data, ec.ECDSA(SHA256()))


def test_a_ring_without_kms_loads_no_boto3() -> None:
    """0.3 s of imports that only installations with KMS pay."""
    code = "import sys, authsvc.keyring.ring, authsvc.keyring.kms; sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
