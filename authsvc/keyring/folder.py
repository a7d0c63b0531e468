"""The `dir:` home of a key ring: ring.yaml and one sealed file a key in one folder. Knows files, opens no key."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from authsvc.errors import ConfigurationError
from authsvc.keyring.errors import KeyUnreadable, RingBusy, RingDamaged, RingNotWritable, RingUnreadable
from authsvc.keyring.schedule import NOTICED_WITHIN, Algorithm, KeyEntry, utc_text

DOCUMENT = "ring.yaml"
SUFFIX = ".sealed"
HEADER = "# Written by `authsvc keys`; instants are UTC. Restore it from a backup, do not edit it.\n"
LOCK_WAIT_S = 30.0


Instant = Annotated[AwareDatetime, AfterValidator(lambda at: at.astimezone(UTC))]


class _Key(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kid: str = Field(pattern=r"^[A-Za-z0-9_-]{43}$")
    use: Literal["sign"]
    algorithm: Algorithm
    #: A bare name, for the document must not be able to point outside its folder; or the ARN of a key in AWS KMS.
    private: str = Field(
        pattern=r"^([A-Za-z0-9_][A-Za-z0-9_-]*\.sealed|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+)$"
    )
    publish_from: Instant
    use_from: Instant
    use_until: Instant | None
    publish_until: Instant | None

    @model_validator(mode="after")
    def _instants_are_in_order(self) -> Self:
        if (self.use_until is None) != (self.publish_until is None):
            raise ValueError("use_until and publish_until come together")
        instants = [
            at for at in (self.publish_from, self.use_from, self.use_until, self.publish_until) if at is not None
        ]
        if instants != sorted(instants):
            raise ValueError("publish_from, use_from, use_until and publish_until must follow one another")
        return self


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format: Literal["authsvc/keyring/1"] = Field(alias="schema")
    keys: list[_Key]

    @model_validator(mode="after")
    def _each_key_once(self) -> Self:
        if len({key.kid for key in self.keys}) < len(self.keys):
            raise ValueError("a kid is there twice")
        return self


class RingFolder:
    """One folder. Readers need no lock, because files are replaced whole; writers hold `locked`."""

    noticed_within = NOTICED_WITHIN
    #: A folder takes part in no transaction.
    tx = None

    def __init__(self, url: str) -> None:
        """`url`: `dir:PATH`. Raises: ConfigurationError."""
        scheme, _, path = url.partition(":")
        if scheme != "dir" or not path:
            raise ConfigurationError(["AUTHSVC_KEYS_URL must be dir:PATH"])
        self.path = Path(path)

    @property
    def place(self) -> str:
        """The folder as the setting names it."""
        return str(self.path)

    def fingerprint(self) -> object:
        """Differs once any file of the ring was changed, replaced, removed or given other rights. A few stat calls."""
        try:
            with os.scandir(self.path) as found:
                stats = {
                    item.name: item.stat() for item in found if item.name == DOCUMENT or item.name.endswith(SUFFIX)
                }
        except OSError as exc:
            return exc.errno
        return {name: (s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for name, s in stats.items()}

    def load(self) -> tuple[KeyEntry, ...]:
        """Every entry of the document; none when there is no ring yet. Raises: RingUnreadable, RingDamaged."""
        place = self.path / DOCUMENT
        try:
            document = _Document.model_validate(yaml.safe_load(place.read_text("utf-8")))
        except FileNotFoundError:
            if any(self.path.glob("*" + SUFFIX)):
                # Taken for an empty ring, this would end in fresh keys that no verifier has ever seen.
                raise RingDamaged(
                    f"{place} is missing although sealed keys lie beside it; restore it from the backup."
                ) from None
            return ()
        except OSError as exc:
            raise RingUnreadable(f"{place} cannot be read: {exc.strerror}.") from exc
        except ValidationError as exc:
            error = exc.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, error["loc"])) or "document"
            raise RingDamaged(f"{place} is damaged ({where}: {error['msg']}); restore it from the backup.") from exc
        except (yaml.YAMLError, ValueError, RecursionError) as exc:
            raise RingDamaged(f"{place} is damaged (not YAML text); restore it from the backup.") from exc
        return tuple(KeyEntry(**key.model_dump()) for key in document.keys)

    def sealed(self, entry: KeyEntry) -> str:
        """The sealed private part of `entry`. Raises: KeyUnreadable."""
        place = self.path / _file_name(entry)
        try:
            return place.read_text("ascii")
        except OSError as exc:
            raise KeyUnreadable(f"{place} cannot be read: {exc.strerror}; restore it from the backup.") from exc
        except ValueError as exc:
            raise KeyUnreadable(f"{place} is damaged; restore it from the backup.") from exc

    def save(self, entries: Sequence[KeyEntry], new: Mapping[str, str]) -> None:
        """Replace the document, after writing the sealed texts in `new` (by kid). Call it inside `locked`.

        The document comes last, so whoever dies half-way leaves the old ring whole. Raises: RingNotWritable.
        """
        try:
            if not (self.path / DOCUMENT).exists():
                # Else a first start that dies here leaves sealed files without a document, which looks like a loss.
                self._write(DOCUMENT, _text(()))
            for entry in entries:
                if entry.kid in new:
                    self._write(_file_name(entry), new[entry.kid])
            self._write(DOCUMENT, _text(entries))
        except OSError as exc:
            raise RingNotWritable(f"The key ring in {self.path} cannot be written: {exc.strerror}.") from exc

    def _write(self, name: str, text: str) -> None:
        temporary = self.path / f".{name}.{secrets.token_hex(8)}.tmp"
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path / name)
        finally:
            temporary.unlink(missing_ok=True)
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)  # without it a power cut can undo the rename
        finally:
            os.close(folder)

    @contextmanager
    def locked(self) -> Iterator[Self]:
        """Be the only writer, among threads and processes. Raises: RingBusy after 30 s, RingNotWritable."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(
                PermissionError
            ):  # a mounted volume may belong to root; its files are sealed and 0600 all the same
                self.path.chmod(0o700)
            handle = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as exc:
            raise RingNotWritable(f"The key ring in {self.path} cannot be written: {exc.strerror}.") from exc
        try:
            _lock(handle)
            yield self
        finally:
            os.close(handle)


def _file_name(entry: KeyEntry) -> str:
    """What lies in KMS has a sealed file too: the address and the public half, which nobody shall swap."""
    return entry.private if entry.private.endswith(SUFFIX) else f"{entry.algorithm}-{entry.kid}{SUFFIX}"


def _lock(handle: int) -> None:
    give_up = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise RingBusy from None
            time.sleep(0.02)
        else:
            return


def _text(entries: Sequence[KeyEntry]) -> str:
    keys = [{name: _plain(value) for name, value in asdict(entry).items()} for entry in entries]
    return HEADER + yaml.safe_dump({"schema": "authsvc/keyring/1", "keys": keys}, sort_keys=False)


def _plain(value: object) -> str | None:
    return utc_text(value) if isinstance(value, datetime) else None if value is None else str(value)
