"""Copies of a ring in a folder, and a ring from such a copy. Whatever its home is, the copy is a `dir:` ring."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from authsvc.crypto.seal import SealBroken, Sealer
from authsvc.errors import Kind
from authsvc.keyring.errors import KeyUnreadable
from authsvc.keyring.folder import DOCUMENT, RingFolder
from authsvc.keyring.homes import Home
from authsvc.keyring.reader import where
from authsvc.keyring.schedule import Algorithm, KeyEntry, KeyringError, KeyState, active, state
from authsvc.keyring.urgent import plan_withdrawal


class BackupRefused(KeyringError):
    """This cannot be a backup of the key ring."""

    kind = Kind.REFUSED


@dataclass(frozen=True)
class Restoration:
    """What a restoration would make of a ring. `sealed`: private parts from the copy, by kid.

    `lost`: keys that open nowhere; they leave the set. `unsigned`: algorithms that nothing would sign with.
    """

    entries: tuple[KeyEntry, ...]
    sealed: dict[str, str]
    lost: tuple[KeyEntry, ...]
    unsigned: tuple[Algorithm, ...]


def save_copy(home: Home, folder: Path, now: datetime) -> tuple[KeyEntry, ...]:
    """Write what `home` holds into `folder`, sealed as it is; answers the entries.

    Raises: BackupRefused where a ring lies there already, or there is nothing to copy; RingUnreadable, KeyUnreadable,
    RingNotWritable.
    """
    copy = RingFolder(f"dir:{folder}")
    if (folder / DOCUMENT).exists():
        raise BackupRefused(f"A key ring lies in {folder} already; name a new folder.")
    entries = home.load()
    if not entries:
        raise BackupRefused(f"The key ring in {home.place} is empty; there is nothing to copy.")
    sealed = {}
    for entry in entries:
        try:
            sealed[entry.kid] = home.sealed(entry)
        except KeyUnreadable:
            # The private part of a key that is gone may have been destroyed.
            if state(entry, now) is not KeyState.GONE:
                raise
    with copy.locked() as writer:
        writer.save(entries, sealed)
    return entries


def plan_restoration(home: Home, folder: Path, sealer: Sealer, now: datetime) -> Restoration:
    """What bringing back the copy in `folder` would make of the ring in `home`. Changes nothing.

    The schedule in `home` wins while it can be read, for it is the newer one; each key that does not open there comes from
    the copy. Raises: BackupRefused, also where nothing is broken; RingUnreadable; KeyUnreadable: the copy needs another secret.
    """
    copy = RingFolder(f"dir:{folder}")
    saved = copy.load()
    if not saved:
        raise BackupRefused(f"No key ring lies in {folder}.")
    present = _what_can_be_read(home)
    known = {entry.kid for entry in saved}
    entries = present or saved
    sealed: dict[str, str] = {}
    lost = []
    for entry in entries:
        if present and _opens_in(home, entry, sealer):
            continue
        if entry.kid in known:
            try:
                text = copy.sealed(entry)
                sealer.open(text, where=where(entry.kid))
                sealed[entry.kid] = text
                continue
            except (KeyUnreadable, SealBroken) as exc:
                if state(entry, now) is not KeyState.GONE:
                    raise KeyUnreadable(
                        f"Key {entry.kid} of the copy cannot be opened: its file is missing or damaged, "
                        "or AUTHSVC_SECRET is not the one it was sealed with."
                    ) from exc
        elif state(entry, now) is not KeyState.GONE:
            lost.append(entry)
    if present and not sealed and not lost:
        raise BackupRefused(f"The key ring in {home.place} is whole: every key opens. There is nothing to restore.")
    for entry in lost:
        entries = plan_withdrawal(entries, entry.kid, now).kept
    algorithms = dict.fromkeys(entry.algorithm for entry in entries)
    unsigned = tuple(algorithm for algorithm in algorithms if active(entries, algorithm, now) is None)
    return Restoration(entries, sealed, tuple(lost), unsigned)


def restore(home: Home, plan: Restoration) -> None:
    """Carry it out. Raises: RingBusy, RingNotWritable."""
    with home.locked() as writer:
        writer.save(plan.entries, plan.sealed)


def _what_can_be_read(home: Home) -> tuple[KeyEntry, ...]:
    with suppress(KeyringError):
        return home.load()
    return ()


def _opens_in(home: Home, entry: KeyEntry, sealer: Sealer) -> bool:
    with suppress(KeyUnreadable, SealBroken):
        sealer.open(home.sealed(entry), where=where(entry.kid))
        return True
    return False
