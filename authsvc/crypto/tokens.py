"""Opaque secrets and what we keep of them: a keyed digest."""

from __future__ import annotations

import hashlib
import hmac
import secrets


def new_secret() -> str:
    """256 random bits, URL-safe, 43 characters."""
    return secrets.token_urlsafe(32)


def new_id() -> str:
    """128 random bits as 32 hex characters: names a row, proves nothing."""
    return secrets.token_hex(16)


def is_id(text: str) -> bool:
    """Whether `text` can be a row's name: a link may hold anything, and a NUL would be an error of PostgreSQL."""
    return len(text) == 32 and text.isascii() and text.isalnum()


class Digester:
    """Keyed digests, so that a copy of the database is no list of valid secrets and no list to test guesses against."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def digest(self, purpose: str, value: str) -> str:
        """HMAC-SHA-256 of `value`, bound to `purpose`, as 64 hex characters.

        The purpose keeps a secret of one kind from being accepted as another (security.md AZ-13).
        """
        return hmac.new(self._key, f"{purpose}\0{value}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def same(left: str, right: str) -> bool:
    """Compare in constant time; any characters are allowed."""
    return hmac.compare_digest(left.encode("utf-8", "surrogatepass"), right.encode("utf-8", "surrogatepass"))
