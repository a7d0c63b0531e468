"""Where a ring may lie: one interface, a folder and a table behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Protocol

from sqlalchemy.orm import Session

from authsvc.db import Database
from authsvc.errors import ConfigurationError
from authsvc.keyring.folder import RingFolder
from authsvc.keyring.schedule import KeyEntry
from authsvc.keyring.table import RingTable


class Writer(Protocol):
    """The one who may change the ring at this moment."""

    @property
    def tx(self) -> Session | None:
        """The transaction of the change; None where the ring lies outside the database."""
        ...

    def save(self, entries: Sequence[KeyEntry], new: Mapping[str, str]) -> None:
        """Replace the list of keys; `new`: sealed private parts that are new or sealed anew, by kid. Raises: RingNotWritable."""
        ...


class Home(Protocol):
    """Where the list of keys and their sealed private parts lie. It opens no key."""

    @property
    def place(self) -> str:
        """What an operator calls it, as in "The key ring in <place> ..."."""
        ...

    @property
    def noticed_within(self) -> timedelta:
        """How late a running process sees a change at most."""
        ...

    def fingerprint(self) -> object:
        """Differs once anything was changed. Cheap. Raises: RingUnreadable."""
        ...

    def load(self) -> tuple[KeyEntry, ...]:
        """Every entry in the order of making; none when there is no ring yet. Raises: RingUnreadable, RingDamaged."""
        ...

    def sealed(self, entry: KeyEntry) -> str:
        """The sealed private part of `entry`. Raises: KeyUnreadable."""
        ...

    def locked(self) -> AbstractContextManager[Writer]:
        """Be the only writer among all processes; what was saved counts from leaving. Raises: RingBusy, RingNotWritable."""
        ...


def open_home(url: str, database: Database | None = None) -> Home:
    """The home that AUTHSVC_KEYS_URL names: `dir:PATH`, `sql:` or `kms:REGION` (a table too, with keys that AWS KMS holds).

    Raises: ConfigurationError, also where a table is asked for without a database.
    """
    if url.startswith("dir:"):
        return RingFolder(url)
    if url == "sql:" or url.startswith("kms:"):
        if database is None:
            raise ConfigurationError([f"AUTHSVC_KEYS_URL {url} needs a database"])
        return RingTable(database)
    raise ConfigurationError(["AUTHSVC_KEYS_URL must be dir:PATH, sql: or kms:REGION"])
