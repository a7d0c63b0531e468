"""Keys that AWS KMS holds: made there, used there, never seen here. To joserfc they look like any private key."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NoReturn, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import load_der_public_key
from joserfc.jwk import ECKey, RSAKey

from authsvc.aws import AwsClients
from authsvc.keyring.errors import KmsUnavailable
from authsvc.keyring.jwks import PUBLIC_MEMBERS, SignatureKey
from authsvc.keyring.schedule import Algorithm

#: What KMS takes as a whole; a longer text is hashed here.
LARGEST_MESSAGE = 4096
#: Days until KMS destroys a key that was never taken into the ring; the shortest it allows.
DESTROYED_AFTER = 7
#: Signed to see whether KMS still signs. No header, no claims: no verifier can take it for a token.
PROOF = b"authsvc: does this key sign?"
_SIGNING = {Algorithm.ES256: "ECDSA_SHA_256", Algorithm.RS256: "RSASSA_PKCS1_V1_5_SHA_256"}


class Kms:
    """KMS of one AWS account. Safe for threads."""

    def __init__(self, region: str = "", *, endpoint_url: str = "", clients: AwsClients | None = None) -> None:
        """`region`: where new keys are made; empty: as boto3 is configured. `endpoint_url`: another address than AWS's."""
        self._region = region
        self._clients = clients or AwsClients("kms", endpoint_url=endpoint_url)

    def create(self, algorithm: Algorithm, *, rsa_bits: int) -> tuple[str, str, bytes]:
        """A new key in KMS: its kid, its ARN, and what the ring keeps of it. Raises: KmsUnavailable."""
        if algorithm not in _SIGNING:
            raise KmsUnavailable(f"AWS KMS makes no {algorithm} keys for us; it makes ES256 and RS256.")
        spec = "ECC_NIST_P256" if algorithm is Algorithm.ES256 else f"RSA_{rsa_bits}"
        made = self.call(
            "create_key",
            self._region,
            KeySpec=spec,
            KeyUsage="SIGN_VERIFY",
            Description=f"authsvc {algorithm} signing key",
        )
        arn = made["KeyMetadata"]["Arn"]
        answer = self.call("get_public_key", region_of(arn), KeyId=arn)
        public = load_der_public_key(answer["PublicKey"])
        key: ECKey | RSAKey
        if isinstance(public, ec.EllipticCurvePublicKey):
            key = ECKey.import_key(public)
        elif isinstance(public, rsa.RSAPublicKey):
            key = RSAKey.import_key(public)
        else:
            raise KmsUnavailable(f"AWS KMS made another kind of key than {spec}.")
        members = key.as_dict(private=False)
        return key.thumbprint(), arn, json.dumps({"arn": arn, "public": members}).encode()

    def open(self, kept: dict[str, Any], *, kid: str, algorithm: Algorithm, arn: str) -> SignatureKey:
        """The key object of what `create` made. Asks nobody.

        Raises: ValueError when it is another key than `kid`, or not the one at `arn`.
        """
        public = {name: kept["public"][name] for name in PUBLIC_MEMBERS if name in kept["public"]}
        parameters: Any = {"kid": kid, "use": "sig", "alg": algorithm.value}
        key: ECKey | RSAKey
        if algorithm is Algorithm.ES256:
            ec_public = ECKey.import_key(public).public_key
            key = ECKey(KmsEcKey(self, arn, algorithm, ec_public), public, parameters)
        else:
            rsa_public = RSAKey.import_key(public).public_key
            key = RSAKey(KmsRsaKey(self, arn, algorithm, rsa_public), public, parameters)
        if kept["arn"] != arn or key.thumbprint() != kid:
            raise ValueError("not the key that its name promises")
        return key

    def disable(self, arn: str) -> None:
        """Nobody signs with it any more, whoever has the credentials. Can be undone in AWS. Raises: KmsUnavailable."""
        self.call("disable_key", region_of(arn), KeyId=_id_of(arn))

    def destroy(self, arn: str) -> None:
        """Have KMS destroy a key after DESTROYED_AFTER days. Raises: KmsUnavailable."""
        self.call("schedule_key_deletion", region_of(arn), KeyId=_id_of(arn), PendingWindowInDays=DESTROYED_AFTER)

    def call(self, operation: str, region: str, **arguments: Any) -> dict[str, Any]:
        """One call: 2 s to connect, 3 s for the answer, tried twice. Raises: KmsUnavailable with AWS's own word."""
        # Here and not above: 0.3 s of imports that only installations with KMS pay.
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer: dict[str, Any] = getattr(self._clients.client(region), operation)(**arguments)
        except ClientError as exc:
            code = exc.response.get("Error", {}).get("Code", "unknown")
            raise KmsUnavailable(f"AWS KMS refuses {operation}: {code}.", detail=str(exc)) from exc
        except BotoCoreError as exc:
            raise KmsUnavailable(
                f"AWS KMS cannot be asked ({operation}): {type(exc).__name__}.", detail=str(exc)
            ) from exc
        return answer


class KmsSigner:
    """Asks KMS for signatures of one key, and checks each: a wrong one must not leave this process."""

    def __init__(self, kms: Kms, arn: str, algorithm: Algorithm, is_good: Callable[[bytes, bytes], None]) -> None:
        self._kms, self._algorithm, self._is_good = kms, algorithm, is_good
        self.arn = arn
        #: Why the last signature failed; None when it did not, and "" before the first.
        self.failure: str | None = ""

    def sign(self, data: bytes) -> bytes:
        """The signature as KMS gives it. Raises: KmsUnavailable."""
        try:
            # Sent whole while that is possible: then KMS hashes, and nobody can have it sign a digest of another text.
            message, kind = (data, "RAW") if len(data) <= LARGEST_MESSAGE else (_sha256(data), "DIGEST")
            answer = self._kms.call(
                "sign",
                region_of(self.arn),
                KeyId=self.arn,
                Message=message,
                MessageType=kind,
                SigningAlgorithm=_SIGNING[self._algorithm],
            )
            signature: bytes = answer["Signature"]
            try:
                self._is_good(signature, data)
            except InvalidSignature as exc:
                raise KmsUnavailable(f"AWS KMS signed with another key than {self.arn}.") from exc
        except KmsUnavailable as exc:
            self.failure = str(exc)
            raise
        self.failure = None
        return signature

    def prove(self) -> None:
        """Sign something that is no token. Raises: KmsUnavailable."""
        self.sign(PROOF)


class _InKms:
    """What no key in KMS can do."""

    def _stays_there(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("this private key never leaves AWS KMS")

    private_bytes = private_numbers = exchange = decrypt = _stays_there

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self


class KmsEcKey(_InKms, ec.EllipticCurvePrivateKey):
    """A P-256 key in KMS."""

    def __init__(self, kms: Kms, arn: str, algorithm: Algorithm, public: ec.EllipticCurvePublicKey) -> None:
        self._public = public
        self.signer = KmsSigner(kms, arn, algorithm, lambda sig, data: public.verify(sig, data, ec.ECDSA(SHA256())))

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """DER, as cryptography's own. Raises: KmsUnavailable."""
        return self.signer.sign(bytes(data))

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half, kept here."""
        return self._public

    @property
    def curve(self) -> ec.EllipticCurve:
        """P-256."""
        return self._public.curve

    @property
    def key_size(self) -> int:
        """Bits."""
        return self._public.key_size


class KmsRsaKey(_InKms, rsa.RSAPrivateKey):
    """An RSA key in KMS."""

    def __init__(self, kms: Kms, arn: str, algorithm: Algorithm, public: rsa.RSAPublicKey) -> None:
        self._public = public
        self.signer = KmsSigner(
            kms, arn, algorithm, lambda sig, data: public.verify(sig, data, padding.PKCS1v15(), SHA256())
        )

    def sign(self, data: Any, padding: Any, algorithm: Any) -> bytes:
        """PKCS #1 v1.5 with SHA-256, which is what RS256 asks for. Raises: KmsUnavailable."""
        return self.signer.sign(bytes(data))

    def public_key(self) -> rsa.RSAPublicKey:
        """The public half, kept here."""
        return self._public

    @property
    def key_size(self) -> int:
        """Bits."""
        return self._public.key_size


def signer_of(key: SignatureKey) -> KmsSigner | None:
    """What signs with `key` if it lies in KMS; None for a key of our own."""
    raw = key.raw_value
    return raw.signer if isinstance(raw, KmsEcKey | KmsRsaKey) else None


def region_of(arn: str) -> str:
    """The region in an ARN: `arn:aws:kms:REGION:ACCOUNT:key/ID`."""
    return arn.split(":")[3]


def _id_of(arn: str) -> str:
    """What these two operations, which work in our own account only, want; moto knows nothing else."""
    return arn.rpartition("/")[2]


def _sha256(data: bytes) -> bytes:
    digest = Hash(SHA256())
    digest.update(data)
    return digest.finalize()
