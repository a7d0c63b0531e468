"""An answer that got lost may be asked for again, and is then the same answer.

Where a secret is replaced by a new one (refresh token, sign-in attempt, session), the new one is kept for some seconds,
sealed under a key that only the holder of the old one can derive. The database alone reveals nothing (security.md 4.2).
"""

from __future__ import annotations

from authsvc.crypto.seal import Sealer


def wrap(old_secret: str, new_secret: str, *, where: str) -> str:
    """`new_secret`, readable only with `old_secret` in hand. `where` names table, column and row."""
    return Sealer([old_secret], "handover").seal(new_secret.encode(), where=where)


def unwrap(old_secret: str, wrapped: str, *, where: str) -> str:
    """The new secret. Raises: SealBroken when `old_secret` is another."""
    return Sealer([old_secret], "handover").open(wrapped, where=where).decode()
