"""What can be wrong with a ring wherever it lies."""

from __future__ import annotations

from authsvc.errors import Kind
from authsvc.keyring.schedule import KeyringError


class RingUnreadable(KeyringError):
    """The key ring cannot be read."""


class RingDamaged(RingUnreadable):
    """The key ring was read, but it does not fit together."""


class KeyUnreadable(KeyringError):
    """A key of the ring cannot be opened."""


class RingNotWritable(KeyringError):
    """The key ring cannot be written."""


class RingBusy(KeyringError):
    """Another process is changing the key ring. Try again in a minute."""

    kind = Kind.CONFLICT


class NoSuchKey(KeyringError):
    """The ring has no such key; `authsvc keys list` shows those it has."""

    kind = Kind.NOT_FOUND


class KmsUnavailable(KeyringError):
    """AWS KMS does not answer as it should."""
