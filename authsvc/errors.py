"""Errors, one tree per feature under one root.

AuthsvcError
├── ConfigurationError          start-up: settings, policies or keys do not fit together
├── DatabaseUnavailable         (db) the database cannot answer now
├── TransactionAlreadyOpen      (db) a transaction inside a transaction
├── KeyringError                (keyring)
├── PolicyError                 (policy)
├── SealBroken                  (crypto)
├── Busy                        (accounts) the password lane is full
└── one class per feature, beside the code that raises it

A wrong password is no error: an expected refusal is a returned value. An error is a broken promise, and its docstring is
the text a person reads. `kind` says what it means for the caller; web/problems.py alone turns that into a page and a status.
"""

from __future__ import annotations

from enum import StrEnum
from inspect import cleandoc
from typing import ClassVar


class Kind(StrEnum):
    """What an error means for whoever asked."""

    INVALID = "invalid"
    REFUSED = "refused"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


class AuthsvcError(Exception):
    """Something went wrong."""

    kind: ClassVar[Kind] = Kind.INTERNAL

    def __init__(self, message: str | None = None, *, detail: str = "") -> None:
        """`message` is for the person (default: the docstring); `detail` is for the log only. Neither holds a secret."""
        super().__init__(message or cleandoc(type(self).__doc__ or "").partition("\n")[0])
        self.detail = detail


class ConfigurationError(AuthsvcError):
    """The configuration does not fit together."""

    kind = Kind.INVALID

    def __init__(self, problems: list[str]) -> None:
        """`problems`: every mistake found, one sentence each, so that one start shows them all."""
        super().__init__("\n".join(problems))
        self.problems = problems
