"""The `dir:` home: a folder that every web process and worker sees, so one machine, or a volume that all of them mount."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from authsvc.exports.files import FileGone, StoreFull, StoreUnavailable
from authsvc.exports.stores.sealing import FileKeys, SealingWriter, begun, checked, opened

SUFFIX = ".sealed"
#: A full disk, a used-up quota, and a limit on the size of one file.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class DirectoryStore:
    """Files of 0600 in a folder of 0700, sealed; half files bear another name until they are whole."""

    def __init__(self, folder: Path, keys: FileKeys) -> None:
        self._folder, self._keys = folder, keys

    @contextmanager
    def create(self, file_id: str) -> Iterator[SealingWriter]:
        """Write a file: whole and on the disk once the block is left normally, else gone. Raises: StoreUnavailable, StoreFull."""
        place, (key, sealed_key) = self._place(file_id), self._keys.new(file_id)
        half = self._folder / f".{file_id}.{secrets.token_hex(8)}.half"
        with _told("written"):
            self._make_folder()
            handle = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            try:
                writer = SealingWriter(file_id, key, sealed_key, lambda data: _write(handle, data))
                yield writer
                writer.finish()
                with _told("written"):
                    os.fsync(handle)
            finally:
                os.close(handle)
            with _told("written"):
                # Whoever deleted the file meanwhile took the half one away, and this refuses.
                half.replace(place)
                self._sync_folder()
            writer.is_whole()
        finally:
            half.unlink(missing_ok=True)

    def read(self, file_id: str, sealed_key: str) -> Iterator[bytes]:
        """The file's bytes. Raises: FileGone, StoreUnavailable."""
        return begun(self._chunks(file_id, self._keys.open(file_id, sealed_key)))

    def _chunks(self, file_id: str, key: bytes) -> Iterator[bytes]:
        with _told("read"), self._place(file_id).open("rb", buffering=0) as file:
            yield from opened(file_id, key, file.read)

    def delete(self, file_id: str) -> None:
        """Take the file away, and what a killed process left of it. Raises: StoreUnavailable."""
        place = self._place(file_id)
        with _told("changed"):
            for found in (place, *self._folder.glob(f".{file_id}.*.half")):
                found.unlink(missing_ok=True)

    def _place(self, file_id: str) -> Path:
        return self._folder / f"{checked(file_id)}{SUFFIX}"

    def _make_folder(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(
            PermissionError
        ):  # a mounted volume may belong to root; its files are sealed and 0600 all the same
            self._folder.chmod(0o700)

    def _sync_folder(self) -> None:
        handle = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)  # without it a power cut can undo the rename
        finally:
            os.close(handle)


@contextmanager
def _told(act: str) -> Iterator[None]:
    """An error of the system as one of ours."""
    try:
        yield
    except FileNotFoundError as exc:
        raise (FileGone if act == "read" else StoreUnavailable)(detail=f"{exc.strerror}") from exc
    except OSError as exc:
        kind = StoreFull if exc.errno in FULL else StoreUnavailable
        raise kind(detail=f"the folder for exports cannot be {act}: {exc.strerror}") from exc


def _write(handle: int, data: bytes) -> None:
    left = memoryview(data)
    with _told("written"):
        while left:
            left = left[os.write(handle, left) :]
