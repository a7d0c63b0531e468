"""Where exports lie: a folder, and S3 over real HTTP. Sealed with a key each, whole or not there, and gone when deleted."""

from __future__ import annotations

import hashlib
import io
import os
import resource
import stat
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc.crypto.seal import Sealer
from authsvc.crypto.tokens import new_id
from authsvc.errors import ConfigurationError
from authsvc.exports.files import FileGone, FileStore, StoreFull, StoreUnavailable
from authsvc.exports.stores import store_for, try_out
from authsvc.exports.stores.s3 import PART
from authsvc.exports.stores.sealing import CHUNK, TAG, FileKeys, SealingWriter, opened
from tests.support.aws import CREDENTIALS
from tests.support.exports import BUCKET, PREFIX, S3_URL, make_bucket, s3_gate
from tests.support.processes import free_port

SECRET = "a-test-secret-of-more-than-32-characters"
SEALER = Sealer([SECRET], "fields")
KEYS = FileKeys(SEALER)
SIZES = st.sampled_from([0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7])


@dataclass
class Home:
    """A store, and what the test sees of it from behind."""

    store: FileStore
    #: Every file that lies there, whole or half: name and bytes.
    contents: Callable[[], dict[str, bytes]]
    #: Puts bytes in the place of a file's own.
    swap: Callable[[str, bytes], None]

    def write(self, file_id: str, content: bytes) -> str:
        """A whole file; answers its sealed key."""
        with self.store.create(file_id) as writer:
            writer.write(content)
        return writer.stored.sealed_key


def folder_home(folder: Path) -> Home:
    """In a folder."""

    def contents() -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in folder.iterdir()} if folder.exists() else {}

    def swap(file_id: str, content: bytes) -> None:
        (folder / f"{file_id}.sealed").write_bytes(content)

    return Home(store_for(f"dir:{folder}", sealer=SEALER), contents, swap)


def bucket_home(endpoint_url: str) -> Home:
    """In a bucket. An upload that was neither completed nor aborted counts as half a file."""
    client = make_bucket(endpoint_url)

    def contents() -> dict[str, bytes]:
        listed = client.list_objects_v2(Bucket=BUCKET).get("Contents", ())
        whole = {each["Key"]: client.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read() for each in listed}
        uploads = client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ())
        return whole | {f"half {upload['Key']}": b"" for upload in uploads}

    def swap(file_id: str, content: bytes) -> None:
        client.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{file_id}", Body=content)

    return Home(store_for(S3_URL, sealer=SEALER, aws_endpoint_url=endpoint_url), contents, swap)


@pytest.fixture(params=["dir", "s3"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    """Each home; what holds for one holds for the other."""
    if request.param == "dir":
        return folder_home(tmp_path / "exports")
    return bucket_home(request.getfixturevalue("aws"))


def test_a_file_comes_back_as_it_was_written(home: Home) -> None:
    """However it was cut when it was written; size and hash are those of the plain bytes."""
    file_id, content = new_id(), os.urandom(PART + 12_345)
    pieces = io.BytesIO(content)
    with home.store.create(file_id) as writer:
        for size in (1, CHUNK, 3, 1_000_000):
            writer.write(pieces.read(size))
        writer.write(pieces.read())
        with pytest.raises(LookupError):
            _ = writer.stored
    assert (writer.stored.size, writer.stored.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert b"".join(home.store.read(file_id, writer.stored.sealed_key)) == content
    empty = new_id()
    assert b"".join(home.store.read(empty, home.write(empty, b""))) == b""


def test_what_lies_there_is_sealed_with_a_key_of_its_own(home: Home) -> None:
    """No byte of the content, no two files alike; another file's key and the service's secret alone open nothing."""
    content = b"Routing number 021000021, account 000123456789\n" * 100
    first, second = new_id(), new_id()
    keys = {file_id: home.write(file_id, content) for file_id in (first, second)}
    lying = list(home.contents().values())
    assert len(lying) == 2
    assert lying[0] != lying[1]
    assert not any(b"021000021" in sealed for sealed in lying)
    for wrong in (keys[second], "", "not base64!", keys[first][:-4] + "AAAA"):
        with pytest.raises(FileGone):
            home.store.read(first, wrong)
    # D22: once the row's key is purged, a forgotten copy is of no use.
    stranger = store_for("dir:/nowhere", sealer=Sealer(["another-secret-of-more-than-32-characters"], "fields"))
    with pytest.raises(FileGone):
        stranger.read(first, keys[first])


def test_tn10_what_was_not_finished_is_not_there(home: Home) -> None:
    """An exception of whoever writes leaves nothing; nor is anything to be read before the block is left."""
    file_id = new_id()

    def give_up() -> None:
        with home.store.create(file_id) as writer:
            writer.write(os.urandom(PART + 1))
            with pytest.raises(FileGone):
                home.store.read(file_id, KEYS.new(file_id)[1])
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        give_up()
    assert home.contents() == {}


def test_deleting_takes_whole_and_half_files_and_may_be_repeated(home: Home) -> None:
    """The same file half-written by a process that was killed, and another's file beside it, which stays."""
    file_id, other = new_id(), new_id()
    keys = {name: home.write(name, b"x") for name in (file_id, other)}
    abandoned = home.store.create(file_id)
    abandoned.__enter__().write(os.urandom(PART + CHUNK))
    assert len(home.contents()) == 3
    home.store.delete(file_id)
    assert [name for name in home.contents() if file_id in name] == []
    with pytest.raises(StoreUnavailable):  # deleted while it was written: it does not come back
        abandoned.__exit__(None, None, None)
    home.store.delete(file_id)
    with pytest.raises(FileGone):
        home.store.read(file_id, keys[file_id])
    assert b"".join(home.store.read(other, keys[other])) == b"x"


def test_bytes_that_were_changed_are_an_error_and_never_taken_for_the_whole(home: Home) -> None:
    """Cut short, prolonged, swapped, doubled, or another file's: what was given before the place is right, and no more."""
    file_id, other = new_id(), new_id()
    content = os.urandom(4 * CHUNK)
    key = home.write(file_id, content)
    sealed = next(iter(home.contents().values()))
    home.write(other, content)
    chunk = CHUNK + TAG
    first, second, third, last = (sealed[at : at + chunk] for at in range(0, len(sealed), chunk))
    foreign = next(value for name, value in home.contents().items() if other in name)
    wrong = {
        "cut between two chunks": (3, first + second + third),
        "cut within a chunk": (3, sealed[:-1]),
        "prolonged": (3, sealed + b"\0"),
        "doubled end": (3, sealed + last),
        "swapped": (0, second + first + third + last),
        "left out": (1, first + third + last),
        "changed": (2, first + second + bytes([third[0] ^ 1]) + third[1:] + last),
        "another file's": (0, foreign),
        "another file's end": (3, first + second + third + foreign[-chunk:]),
        "empty": (0, b""),
    }
    for what, (good_chunks, bytes_there) in wrong.items():
        home.swap(file_id, bytes_there)
        given = bytearray()
        with pytest.raises(FileGone):
            given.extend(b for part in home.store.read(file_id, key) for b in part)
        assert given == content[: len(given)], what
        assert len(given) // CHUNK <= good_chunks, what


def test_a_home_is_tried_out_and_nothing_stays(home: Home, tmp_path: Path) -> None:
    """Written, read, deleted; what cannot be used is said with its reason."""
    try_out(home.store)
    assert home.contents() == {}
    (tmp_path / "taken").write_text("")
    with pytest.raises(StoreUnavailable) as refused:
        try_out(store_for(f"dir:{tmp_path}/taken", sealer=SEALER))
    assert "cannot be written" in refused.value.detail


def test_an_id_is_never_a_path(home: Home, tmp_path: Path) -> None:
    """security.md TN-09: `../`, NUL, quotes and globs name no file."""
    (tmp_path / "secret").write_text("x")
    for wrong in ("../secret", "/etc/passwd", "a" * 31, "*" * 32, "a" * 31 + "\0", "a" * 31 + "/", ""):
        with pytest.raises(ValueError, match="not the id"):
            home.store.read(wrong, KEYS.new(wrong)[1])
        with pytest.raises(ValueError, match="not the id"), home.store.create(wrong):
            pass
        with pytest.raises(ValueError, match="not the id"):
            home.store.delete(wrong)


def test_a_large_file_takes_no_more_memory_than_a_small_one(home: Home) -> None:
    """40 MB go through in the room of a few parts."""
    file_id, block = new_id(), os.urandom(1_000_000)
    tracemalloc.start()
    with home.store.create(file_id) as writer:
        for _ in range(40):
            writer.write(block)
    size = sum(map(len, home.store.read(file_id, writer.stored.sealed_key)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size == 40_000_000
    assert peak < 4 * PART


@given(size=SIZES, cuts=st.lists(st.integers(0, 2 * CHUNK), max_size=4), keep=st.floats(0, 1))
def test_sealing_is_exact_and_any_shorter_file_is_refused(size: int, cuts: list[int], keep: float) -> None:
    """For sizes around the chunk and any way of writing; a file without its end never ends well."""
    file_id, content, sealed = new_id(), os.urandom(size), bytearray()
    key, sealed_key = KEYS.new(file_id)
    writer = SealingWriter(file_id, key, sealed_key, sealed.extend)
    left = io.BytesIO(content)
    for cut in cuts:
        writer.write(left.read(cut))
    writer.write(left.read())
    writer.finish()
    assert b"".join(opened(file_id, key, io.BytesIO(sealed).read)) == content
    for length in (int(keep * (len(sealed) - 1)), *range(0, len(sealed), CHUNK + TAG)):
        with pytest.raises(FileGone):
            list(opened(file_id, key, io.BytesIO(bytes(sealed[:length])).read))


def test_files_in_a_folder_are_for_this_user_alone(tmp_path: Path) -> None:
    """0600 in 0700, half ones too, even where the folder was there and open."""
    folder = tmp_path / "exports"
    folder.mkdir(mode=0o755)
    home = folder_home(folder)
    with home.store.create(new_id()) as writer:
        writer.write(b"x")
        modes = {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
    assert modes | {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


WRITES_TOO_MUCH = """
import resource, signal, sys
from authsvc.crypto.seal import Sealer
from authsvc.exports.files import StoreFull
from authsvc.exports.stores import store_for, try_out

resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    with store_for(sys.argv[1], sealer=Sealer(["s" * 32], "fields")).create("a" * 32) as writer:
        for _ in range(100):
            writer.write(bytes(100_000))
except StoreFull as exc:
    print(exc, exc.detail)
"""


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    """In a process of its own, whose files may not grow over 1 MB."""
    said = subprocess.run(
        [sys.executable, "-c", WRITES_TOO_MUCH, f"dir:{tmp_path}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    assert said.startswith("The place where exports are kept is full.")
    assert list(tmp_path.iterdir()) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    """A file in its place."""
    (tmp_path / "taken").write_text("")
    store = store_for(f"dir:{tmp_path}/taken", sealer=SEALER)
    with pytest.raises(StoreUnavailable) as refused, store.create(new_id()):
        pass
    assert not isinstance(refused.value, StoreFull)
    assert "cannot be written: File exists" in refused.value.detail


def test_s3_is_told_to_encrypt_and_never_to_publish(aws: str) -> None:
    """SSE-KMS with the key that is named, no ACL, and a type and name that no browser shows as a page."""
    client = make_bucket(aws)
    key_id = "arn:aws:kms:us-east-1:123456789012:key/0b3c6d1e-1111-2222-3333-444455556666"
    store = store_for(f"{S3_URL}/?kms_key_id={key_id}", sealer=SEALER, aws_endpoint_url=aws)
    file_id = new_id()
    with store.create(file_id) as writer:
        writer.write(b"<script>")
    head = client.head_object(Bucket=BUCKET, Key=f"{PREFIX}/{file_id}")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key_id)
    assert (head["ContentType"], head["ContentDisposition"]) == ("application/octet-stream", "attachment")
    with s3_gate(aws) as s3:
        s3.refuses = True
        with pytest.raises(StoreUnavailable):
            store_for(S3_URL, sealer=SEALER, aws_endpoint_url=s3.url).create(file_id).__enter__()
        [headers] = s3.seen
    assert headers["x-amz-server-side-encryption"] == "aws:kms"
    assert [name for name in headers if name.startswith(("x-amz-acl", "x-amz-grant"))] == []


def test_an_s3_that_refuses_or_is_away_is_said_with_its_word(aws: str) -> None:
    """No bucket; 403; nobody there. At once, as StoreUnavailable, and without a credential."""

    file_id = new_id()

    def refusal(url: str, act: Callable[[FileStore], Any]) -> str:
        with pytest.raises(StoreUnavailable) as refused:
            act(store_for(S3_URL, sealer=SEALER, aws_endpoint_url=url))
        assert "testing" not in refused.value.detail
        return refused.value.detail

    def write(store: FileStore) -> None:
        store.create(file_id).__enter__()

    assert refusal(aws, write) == "S3 refuses create_multipart_upload: NoSuchBucket"
    with s3_gate(aws) as s3:
        s3.refuses = True
        reading = refusal(s3.url, lambda store: store.read(file_id, KEYS.new(file_id)[1]))
        deleting = refusal(s3.url, lambda store: store.delete(file_id))
    assert reading == "S3 refuses get_object: AccessDenied"
    assert deleting == "S3 refuses list_multipart_uploads: AccessDenied"
    nobody = f"http://127.0.0.1:{free_port()}"
    assert refusal(nobody, write) == "S3 cannot be asked (create_multipart_upload): EndpointConnectionError"


@pytest.fixture
def no_aws_configuration(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine that has never heard of AWS."""
    for name in CREDENTIALS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    return


@pytest.mark.usefixtures("no_aws_configuration")
def test_missing_credentials_are_said() -> None:
    """As what they are, not as a crash."""
    store = store_for(S3_URL, sealer=SEALER, aws_endpoint_url="http://127.0.0.1:9")
    with pytest.raises(StoreUnavailable) as refused, store.create(new_id()):
        pass
    assert "NoCredentialsError" in refused.value.detail


def test_an_address_that_names_no_home_is_a_mistake_of_the_configuration() -> None:
    """At start-up, not at the first export."""
    for wrong in (
        "",
        "dir:",
        "file:/x",
        "s3://",
        "s3://UPPER/x",
        "s3://b/../x",
        "dir:/x?other",
        "s3://bucket?acl=public",
    ):
        with pytest.raises(ConfigurationError):
            store_for(wrong, sealer=SEALER)
