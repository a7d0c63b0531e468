"""Where files lie, as the rest of the package sees it. stores/ holds the two homes: a folder, and S3.

A file is written once, whole or not at all, and read from its beginning. Nothing here knows whose it is: whether somebody
may have it is asked of the row, before the store is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from authsvc.errors import AuthsvcError, Kind


class StoreUnavailable(AuthsvcError):
    """The place where exports are kept cannot be reached at the moment."""

    kind = Kind.UNAVAILABLE


class StoreFull(StoreUnavailable):
    """The place where exports are kept is full."""


class FileGone(AuthsvcError):
    """The file of this export is not there, or is not whole any more."""

    kind = Kind.NOT_FOUND


@dataclass(frozen=True)
class StoredFile:
    """A whole file: bytes and SHA-256 (hex) of what was written, and its own key, sealed ("" where the store keeps the key)."""

    size: int
    sha256: str
    sealed_key: str


class FileWriter(Protocol):
    """Takes a file's bytes, in order."""

    def write(self, chunk: bytes) -> None:
        """Add `chunk`, of any length. Raises: StoreUnavailable, StoreFull."""

    @property
    def stored(self) -> StoredFile:
        """What was made; only once the `with` block of `FileStore.create` was left normally. Raises: LookupError before."""


class FileStore(Protocol):
    """Keeps files by their id (crypto/tokens.py `new_id`)."""

    def create(self, file_id: str) -> AbstractContextManager[FileWriter]:
        """Write a file: leaving the block normally makes it whole and lasting, leaving it by an exception leaves nothing.

        A process that is killed inside leaves nothing that `read` would give; `delete` clears what it did leave.
        Raises: StoreUnavailable, StoreFull.
        """

    def read(self, file_id: str, sealed_key: str) -> Iterator[bytes]:
        """The file's bytes in chunks of at most 1 MiB, in constant memory. It is found, and its key opened, before this returns.

        Raises: FileGone (also in the middle, at a chunk that was changed), StoreUnavailable.
        """

    def delete(self, file_id: str) -> None:
        """Take away the file, whole or half; deleting what is not there is fine. Raises: StoreUnavailable."""
