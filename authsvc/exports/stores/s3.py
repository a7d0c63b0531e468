"""The `s3://` home: a private bucket, for replicas.

What arrives there is sealed already (stores/sealing.py); SSE-KMS is on top of it, so that reading takes the right to use
the KMS key as well. No ACL is ever sent and no address is ever signed: whoever downloads does so through us.
The role needs s3:PutObject, s3:GetObject, s3:DeleteObject, s3:AbortMultipartUpload and s3:ListBucketMultipartUploads on the
bucket, and kms:GenerateDataKey and kms:Decrypt on the key.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from authsvc.aws import AwsClients
from authsvc.exports.files import FileGone, StoreUnavailable
from authsvc.exports.stores.sealing import FileKeys, SealingWriter, begun, checked, opened

#: One request's worth, kept in memory. S3 wants 5 MiB at least and takes 10,000 parts: files of up to 80 GB.
PART = 8 * 1024 * 1024
#: A part of that size may take longer than a message does.
ANSWER_S = 10
MISSING = frozenset({"NoSuchKey", "NoSuchUpload", "404"})


class S3Store:
    """Files in a bucket below a prefix. The client is made when first needed and anew after a fork. Safe for threads."""

    def __init__(
        self, bucket: str, prefix: str, keys: FileKeys, *, kms_key_id: str = "", endpoint_url: str = ""
    ) -> None:
        """`kms_key_id`: empty for the account's own key of S3 (aws/s3). `endpoint_url`: another address than AWS's."""
        self._bucket, self._prefix, self._keys = bucket, f"{prefix}/" if prefix else "", keys
        self._kms_key_id = kms_key_id
        self._aws = AwsClients("s3", endpoint_url=endpoint_url, answer_s=ANSWER_S)

    @contextmanager
    def create(self, file_id: str) -> Iterator[SealingWriter]:
        """Write a file: in the bucket once the block is left normally, else not. Raises: StoreUnavailable."""
        upload = _Upload(self, self._name(file_id))
        writer = SealingWriter(file_id, *self._keys.new(file_id), upload.put)
        upload.begin()
        try:
            yield writer
            writer.finish()
            upload.complete()
        except BaseException:
            # The answer to `complete` may have been lost: then the object is there.
            with suppress(StoreUnavailable):
                self.delete(file_id)
            raise
        writer.is_whole()

    def read(self, file_id: str, sealed_key: str) -> Iterator[bytes]:
        """The file's bytes. Raises: FileGone, StoreUnavailable."""
        return begun(self._chunks(file_id, self._keys.open(file_id, sealed_key)))

    def _chunks(self, file_id: str, key: bytes) -> Iterator[bytes]:
        answer = self.call("get_object", Key=self._name(file_id))
        with closing(answer["Body"]) as body, _told("get_object"):
            yield from opened(file_id, key, body.read)

    def delete(self, file_id: str) -> None:
        """Take the file away, and what an unfinished upload left of it. Raises: StoreUnavailable."""
        name = self._name(file_id)
        found = self.call("list_multipart_uploads", Prefix=name)
        for upload in found.get("Uploads", ()):
            with suppress(FileGone):
                self.call("abort_multipart_upload", Key=name, UploadId=upload["UploadId"])
        self.call("delete_object", Key=name)

    def encryption(self) -> dict[str, str]:
        """What says that S3 seals with KMS."""
        key = {"SSEKMSKeyId": self._kms_key_id} if self._kms_key_id else {}
        return {"ServerSideEncryption": "aws:kms", **key}

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """One call: 2 s to connect, 10 s for each answer, tried twice. Raises: FileGone, StoreUnavailable with AWS's own word."""
        with _told(operation):
            answer: dict[str, Any] = getattr(self._aws.client(), operation)(Bucket=self._bucket, **arguments)
            return answer

    def _name(self, file_id: str) -> str:
        return f"{self._prefix}{checked(file_id)}"


class _Upload:
    """One file on its way, in parts: S3 shows nothing of it until it is completed."""

    def __init__(self, store: S3Store, name: str) -> None:
        self._store, self._name = store, name
        self._waiting, self._parts = bytearray(), list[dict[str, object]]()
        self._upload_id = ""

    def begin(self) -> None:
        """Tell S3. What the object says of itself is harmless wherever it is opened."""
        begun = self._store.call(
            "create_multipart_upload",
            Key=self._name,
            ContentType="application/octet-stream",
            ContentDisposition="attachment",
            CacheControl="no-store",
            ChecksumAlgorithm="SHA256",
            **self._store.encryption(),
        )
        self._upload_id = begun["UploadId"]

    def put(self, data: bytes) -> None:
        """Add sealed bytes. Raises: StoreUnavailable."""
        self._waiting += data
        if len(self._waiting) >= PART:
            self._send()

    def complete(self) -> None:
        """Make it one object. Raises: StoreUnavailable."""
        self._send()
        self._call("complete_multipart_upload", MultipartUpload={"Parts": self._parts})

    def _send(self) -> None:
        number = len(self._parts) + 1
        sent = self._call("upload_part", PartNumber=number, Body=bytes(self._waiting), ChecksumAlgorithm="SHA256")
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": sent["ChecksumSHA256"]})
        self._waiting.clear()

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        try:
            return self._store.call(operation, Key=self._name, UploadId=self._upload_id, **arguments)
        except FileGone as exc:  # whoever deleted the file meanwhile ended the upload
            raise StoreUnavailable(detail=exc.detail) from exc


@contextmanager
def _told(operation: str) -> Iterator[None]:
    """An error of AWS or of the network as one of ours, with AWS's own word and nothing of our credentials."""
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

    try:
        yield
    except ClientError as exc:
        code = str(exc.response.get("Error", {}).get("Code", "unknown"))
        kind = FileGone if code in MISSING else StoreUnavailable
        raise kind(detail=f"S3 refuses {operation}: {code}") from exc
    except (BotoCoreError, HTTPClientError, OSError) as exc:
        raise StoreUnavailable(detail=f"S3 cannot be asked ({operation}): {type(exc).__name__}") from exc
