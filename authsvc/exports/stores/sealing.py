"""A file sealed with a key of its own, in chunks, so that neither writing nor reading ever holds the whole of it.

The STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015; age uses the same form): each chunk is sealed by itself,
its nonce is its number and whether it is the last. A chunk that was changed, left out, moved, doubled or taken from another
file does not open, nor does a file that was cut short between two chunks. The file's own key, sealed by AUTHSVC_SECRET, stands
in the row: once that is purged, a forgotten copy, backup or old version of the file is of no use to anybody.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from authsvc.crypto.seal import SealBroken, Sealer
from authsvc.crypto.tokens import is_id
from authsvc.exports.files import FileGone, StoredFile

CHUNK = 64 * 1024
TAG = 16


def checked(file_id: str) -> str:
    """The same id. Raises: ValueError for what is none: it becomes part of a path."""
    if not is_id(file_id):
        raise ValueError("not the id of a file")
    return file_id


class FileKeys:
    """Makes and opens the keys of files."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def new(self, file_id: str) -> tuple[bytes, str]:
        """A fresh key, and the same sealed for the row."""
        key = AESGCM.generate_key(256)
        return key, self._sealer.seal(key, where=_where(file_id))

    def open(self, file_id: str, sealed_key: str) -> bytes:
        """The key. Raises: FileGone when it was purged or is another file's."""
        try:
            return self._sealer.open(sealed_key, where=_where(file_id))
        except SealBroken as exc:
            raise FileGone(detail=f"the key of file {file_id} does not open") from exc


class SealingWriter:
    """Seals what is written and hands it on in chunks."""

    def __init__(self, file_id: str, key: bytes, sealed_key: str, put: Callable[[bytes], None]) -> None:
        self._aead, self._about, self._sealed_key, self._put = AESGCM(key), _about(file_id), sealed_key, put
        self._waiting, self._chunks = bytearray(), itertools.count()
        self._size, self._hash = 0, hashlib.sha256()
        self._stored: StoredFile | None = None

    def write(self, chunk: bytes) -> None:
        """Add `chunk`. Raises: StoreUnavailable, StoreFull; ValueError once the file is whole."""
        if self._stored is not None:
            raise ValueError("the file is whole already")
        self._hash.update(chunk)
        self._size += len(chunk)
        self._waiting += chunk
        # A chunk that is just full may be the last one, and is sealed differently then.
        while len(self._waiting) > CHUNK:
            self._seal(bytes(self._waiting[:CHUNK]), is_last=False)
            del self._waiting[:CHUNK]

    def finish(self) -> None:
        """Seal the last chunk. Raises: StoreUnavailable, StoreFull."""
        self._seal(bytes(self._waiting), is_last=True)

    def is_whole(self) -> None:
        """The store has taken everything, lastingly."""
        self._stored = StoredFile(self._size, self._hash.hexdigest(), self._sealed_key)

    @property
    def stored(self) -> StoredFile:
        """What was made. Raises: LookupError before it is whole."""
        if self._stored is None:
            raise LookupError("the file is not whole")
        return self._stored

    def _seal(self, plain: bytes, *, is_last: bool) -> None:
        self._put(self._aead.encrypt(_nonce(next(self._chunks), is_last=is_last), plain, self._about))


def opened(file_id: str, key: bytes, read: Callable[[int], bytes]) -> Iterator[bytes]:
    """The plain chunks of a sealed file; `read(n)` answers at most n bytes and none at its end.

    Each was checked before it is given. Raises: FileGone at the first that is not as it was written, and at a missing end.
    """
    aead, about = AESGCM(key), _about(file_id)
    chunk = _full(read)
    for number in itertools.count():
        following = _full(read)
        try:
            plain = aead.decrypt(_nonce(number, is_last=not following), chunk, about)
        except InvalidTag as exc:
            raise FileGone(detail=f"file {file_id} is damaged from chunk {number} on") from exc
        yield plain
        if not following:
            return
        chunk = following


def begun(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same chunks, the first read now: what is not there is known before an answer begins."""
    return itertools.chain([next(chunks)], chunks)


def _full(read: Callable[[int], bytes]) -> bytes:
    """One sealed chunk, though `read` may answer less than it is asked for."""
    chunk = bytearray()
    while len(chunk) < CHUNK + TAG and (more := read(CHUNK + TAG - len(chunk))):
        chunk += more
    return bytes(chunk)


def _nonce(number: int, *, is_last: bool) -> bytes:
    """Unique under its key, for the key is of this file alone and each number is used once."""
    return number.to_bytes(11, "big") + bytes([is_last])


def _about(file_id: str) -> bytes:
    return f"authsvc/export/1 {file_id}".encode()


def _where(file_id: str) -> str:
    return f"export_file/key/{file_id}"
