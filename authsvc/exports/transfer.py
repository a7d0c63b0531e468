"""A file on its way in from a client: straight into the store, in constant memory, compared at its end with what was announced.

Of two transfers of one export the later one counts, so a client whose connection broke may begin again at once. A file that is
not what was announced is the end of its export: sent again it would be wrong again, and the person shall not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from threading import BoundedSemaphore

from authsvc.db import Database
from authsvc.errors import AuthsvcError, Kind
from authsvc.exports.files import FileStore, FileWriter, StoreUnavailable
from authsvc.exports.handover import HandOvers, Outcome, Receiving
from authsvc.exports.life import find
from authsvc.exports.models import Export, Reason

BLOCK = 64 * 1024
#: After so many bytes it is said how far it is, and asked whether this transfer still counts.
TOLD_EVERY = 8 * 1024 * 1024


class CutOff(AuthsvcError):
    """The file ended before its announced end."""

    kind = Kind.INVALID


class Superseded(AuthsvcError):
    """The export has ended, or another transfer of it has begun."""

    kind = Kind.CONFLICT


class Arrival(StrEnum):
    """What became of a transfer."""

    #: Whole, and for its person to download.
    READY = "ready"
    #: The export has ended, or another transfer of it has begun.
    OVER = "over"
    #: Its person may not have it any more: the export has failed.
    NO_ACCESS = "no_access"
    #: Another digest than was announced: the export has failed.
    NOT_AS_ANNOUNCED = "not_as_announced"
    #: It broke off. Nothing of it is kept; it may be sent again.
    CUT_OFF = "cut_off"
    #: As many as this process receives at a time are being received.
    BUSY = "busy"


ARRIVALS = {
    Outcome.DONE: Arrival.READY,
    Outcome.OVER: Arrival.OVER,
    Outcome.NO_ACCESS: Arrival.NO_ACCESS,
    Outcome.NOT_AS_ANNOUNCED: Arrival.NOT_AS_ANNOUNCED,
}


@dataclass(frozen=True)
class Transfers:
    """Receives. `at_a_time`: each holds a thread for as long as its file takes, and people want to sign in meanwhile."""

    database: Database
    hand_overs: HandOvers
    files: FileStore
    at_a_time: int
    _places: BoundedSemaphore = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """As many places as there are."""
        object.__setattr__(self, "_places", BoundedSemaphore(self.at_a_time))

    def receive(self, client_id: str, export_id: str, *, size: int, read: Callable[[int], bytes]) -> Arrival:
        """Take `size` bytes of `read`, which answers at most as many as it is asked for, and raises CutOff when it breaks off.

        Call it outside a transaction. Raises: StoreUnavailable, StoreFull (nothing is kept; it may be sent again).
        """
        if not self._places.acquire(blocking=False):
            return Arrival.BUSY
        try:
            return self._receive(client_id, export_id, size, read)
        finally:
            self._places.release()

    def _receive(self, client_id: str, export_id: str, size: int, read: Callable[[int], bytes]) -> Arrival:
        with self.database.transaction() as tx:
            export = self.hand_overs.find(tx, client_id, export_id)
            receiving = self.hand_overs.begin(tx, export) if export is not None else None
        if export is None or receiving is None:
            return Arrival.OVER
        for old in receiving.leftover:
            self.files.delete(old)
        try:
            with self.files.create(receiving.file_id) as writer:
                self._pour(export, receiving, writer, size, read)
        except CutOff:
            return Arrival.CUT_OFF
        except Superseded:
            return Arrival.OVER
        except StoreUnavailable:
            # Whoever took the place of this transfer deleted its half file, and the store was right to complain.
            if not self._counts(export, receiving, 0):
                return Arrival.OVER
            raise
        arrival = self._end(export_id, receiving, writer)
        if arrival is not Arrival.READY:
            # Else the job deletes it that every export has which ends; without its key nobody reads it.
            with suppress(StoreUnavailable):
                self.files.delete(receiving.file_id)
        return arrival

    def _pour(
        self, export: Export, receiving: Receiving, writer: FileWriter, size: int, read: Callable[[int], bytes]
    ) -> None:
        done = told = 0
        while done < size:
            block = read(min(BLOCK, size - done))
            if not block:
                raise CutOff
            writer.write(block)
            done += len(block)
            if done - told >= TOLD_EVERY:
                told = done
                if not self._counts(export, receiving, done):
                    raise Superseded

    def _counts(self, export: Export, receiving: Receiving, done: int) -> bool:
        """Whether this transfer is still the one that counts; says how far it is."""
        with self.database.transaction() as tx:
            return self.hand_overs.received(tx, export, receiving.file_id, done)

    def _end(self, export_id: str, receiving: Receiving, writer: FileWriter) -> Arrival:
        stored = writer.stored
        with self.database.transaction() as tx:
            export = find(tx, export_id)
            # Asked first, and the row is ours from here on: a wrong file of an old transfer ends nobody else's.
            if export is None or not self.hand_overs.received(tx, export, receiving.file_id, stored.size):
                return Arrival.OVER
            outcome = self.hand_overs.complete(tx, export, receiving.file_id, stored)
            if outcome is Outcome.NOT_AS_ANNOUNCED:
                self.hand_overs.fail(tx, export, Reason.NOT_AS_ANNOUNCED)
        return ARRIVALS[outcome]
