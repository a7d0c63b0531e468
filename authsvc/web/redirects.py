"""Where a person may be sent on to: our own paths only (security.md LG-14)."""

from __future__ import annotations

import re

_LOCAL = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,1999}")


def local_path(typed: str | None) -> str | None:
    """`typed` when it is a path on this host, else None. No scheme, no host, no backslash, no control character, no `//`."""
    return typed if typed and _LOCAL.fullmatch(typed) else None
