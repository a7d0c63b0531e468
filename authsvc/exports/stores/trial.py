"""Whether a home of export files works: for `authsvc doctor`, which says so before a person waits for a file."""

from __future__ import annotations

from authsvc.crypto.tokens import new_id
from authsvc.exports.files import FileGone, FileStore, StoreUnavailable

CONTENT = b"authsvc: does this keep files?"


def try_out(store: FileStore) -> None:
    """Write a file, read it, delete it; nothing stays. Raises: StoreUnavailable, whose `detail` says what was refused."""
    file_id = new_id()
    with store.create(file_id) as writer:
        writer.write(CONTENT)
    try:
        is_same = b"".join(store.read(file_id, writer.stored.sealed_key)) == CONTENT
    except FileGone:
        is_same = False
    finally:
        # A home that cannot delete would keep what must go, so that counts too.
        store.delete(file_id)
    if not is_same:
        raise StoreUnavailable(detail="what was read is not what had been written")
