"""Passwords that have leaked, looked up in a file of this machine: nobody is asked, and nothing is told to anybody.

The file is the one Have I Been Pwned publishes ordered by hash: lines `HASH:COUNT`, SHA-1 in upper-case hex. It has tens of
gigabytes, so it is searched where it lies; the kernel keeps the few pages in memory that every search touches.
"""

from __future__ import annotations

import re
from hashlib import sha1
from mmap import ACCESS_READ, MADV_RANDOM, mmap
from pathlib import Path
from typing import Self

from authsvc.errors import ConfigurationError

_LINE = re.compile(rb"[0-9A-F]{40}:[0-9]{1,12}\r?")
_HASH = 40
#: Longer than any line of it, so that a file of something else is not read from end to end.
_LONGEST = 64
#: Where the file is looked at when it is opened. A file in another order has hardly a chance to pass.
_PLACES = 64


class BreachedPasswords:
    """The list, and no list at all when the installation has none."""

    def __init__(self, lines: bytes | mmap = b"") -> None:
        self._lines = lines

    @classmethod
    def open(cls, file: Path | None) -> Self:
        """The list in `file`; it may be replaced by another (renamed over it, not written into) until the next start.

        Raises: ConfigurationError when it cannot be read or is not such a list.
        """
        if file is None:
            return cls()
        named = f"AUTHSVC_BREACHED_PASSWORDS_FILE names {file}, which"
        try:
            with file.open("rb") as opened:
                lines = mmap(opened.fileno(), 0, access=ACCESS_READ)
        except (OSError, ValueError) as exc:  # ValueError: an empty file
            raise ConfigurationError([f"{named} cannot be read or is empty"]) from exc
        lines.madvise(MADV_RANDOM)
        if (problem := _problem(lines)) is not None:
            lines.close()
            raise ConfigurationError([f"{named} {problem}; use the list of SHA-1 hashes ordered by hash"])
        return cls(lines)

    def holds(self, password: str) -> bool:
        """Whether this password is in it: some forty steps from line to line, some microseconds in warm memory."""
        text = password.encode("utf-8", "surrogatepass")
        wanted = sha1(text, usedforsecurity=False).hexdigest().upper().encode()
        low, high = 0, len(self._lines)
        while low < high:
            start = self._lines.rfind(b"\n", low, (low + high) // 2) + 1 or low
            found = self._lines[start : start + _HASH]
            if found == wanted:
                return True
            if found > wanted:
                high = start
            else:
                low = self._lines.find(b"\n", start, high) + 1 or high
        return False


def _problem(lines: mmap) -> str | None:
    """What is wrong with two lines at each of some places over the whole file, or None."""
    earlier = b""
    for near in (len(lines) * place // _PLACES for place in range(_PLACES)):
        found = lines.rfind(b"\n", max(0, near - _LONGEST), near)
        start = found + 1 if found >= 0 or near < _LONGEST else near
        line, _, after = lines[start : start + 2 * _LONGEST].partition(b"\n")
        for at, one, before in ((start, line, earlier), (start + len(line) + 1, after.partition(b"\n")[0], line)):
            if one and not _LINE.fullmatch(one):
                return f"holds no line HASH:COUNT at byte {at}"
            if one and one < before[:_HASH]:
                return f"is not in the order of its hashes at byte {at}"
        earlier = line
    return None
