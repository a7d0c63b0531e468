"""Whether a request has arrived whole, byte by byte: pure, and stricter about its framing than any proxy in front of it.

What two programs could read as different requests is refused here, before anybody acts on it (security.md PL-01).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

LARGEST_HEAD = 32 * 1024
#: What the pages and endpoints take at most (app.LARGEST_FORM), with room for the framing of chunks.
LARGEST_BODY = 80 * 1024
LONGEST_CHUNK_LINE = 256

_BAD_REQUEST = "400 Bad Request"
_HEAD_TOO_LARGE = "431 Request Header Fields Too Large"
_BODY_TOO_LARGE = "413 Content Too Large"

_BARE_LF = re.compile(rb"(?<!\r)\n")
#: Also where a blank stands before the colon, which some read as the field and some do not.
_FRAMING = re.compile(rb"\r\n(content-length|transfer-encoding)[ \t]*:[ \t]*([^\r\n]*?)[ \t]*(?=\r\n)", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue", re.IGNORECASE)
_DIGITS = re.compile(rb"[0-9]+")
#: The one request whose body a thread reads as it comes: a file of any size. The operation bounds how many and how slow.
_FILE = re.compile(rb"PUT /api/v1/exports/[^/ ?]{1,64}/file(\?[^ ]*)? HTTP/1\.1\r\n")
_CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]{1,6}(;[^\r\n]*)?")


class Refused(Exception):
    """These bytes are no request that we answer; `args[0]` is the status line."""


@dataclass
class Arrival:
    """The bytes of one request, and perhaps of the next."""

    sent: bytearray = field(default_factory=bytearray)
    is_whole: bool = False
    #: Behind the head; 0 until it is here.
    body_at: int = 0
    #: Where the request, or what is gathered of it, ends; None: in chunks, and `at` is the next chunk.
    ends_at: int | None = None
    at: int = 0
    _checked: int = 0
    _is_promised: bool = False

    def add(self, more: bytes) -> None:
        """The next bytes. Raises: Refused."""
        self.sent += more
        while not self.body_at and self.sent.startswith(
            b"\r\n"
        ):  # empty lines before a request mean nothing (RFC 9112 2.2)
            del self.sent[:2]
            self._checked = 0
        if not self.body_at:
            self._read_head()
        if self.body_at:
            self.is_whole = self._chunks_end() if self.ends_at is None else len(self.sent) >= self.ends_at

    def asks_to_go_on(self) -> bool:
        """Whether the client waits for a word before it sends the body. True once."""
        asks = bool(self.body_at) and not self._is_promised and _EXPECTS.search(self.sent[: self.body_at]) is not None
        self._is_promised |= asks
        return asks

    def _read_head(self) -> None:
        start = max(0, self._checked - 3)
        end = self.sent.find(b"\r\n\r\n", start)
        self._checked = len(self.sent)
        # Capital letters begin every method; what is no text at all (TLS, a port scan) needs no waiting for.
        if self.sent and not 65 <= self.sent[0] <= 90 and self.sent != b"\r":
            raise Refused(_BAD_REQUEST)
        if _BARE_LF.search(self.sent, start, end if end >= 0 else len(self.sent)):
            raise Refused(_BAD_REQUEST)
        if end > LARGEST_HEAD or (end < 0 and len(self.sent) > LARGEST_HEAD):
            raise Refused(_HEAD_TOO_LARGE)
        if end >= 0:
            self.body_at = self.at = end + 4
            self.ends_at = self._length(bytes(self.sent[: end + 2]))

    def _length(self, head: bytes) -> int | None:
        """One Content-Length in digits, or one `Transfer-Encoding: chunked`, or neither."""
        fields = _FRAMING.findall(head)
        if not fields:
            return self.body_at
        name, value = fields[0]
        if len(fields) > 1:
            raise Refused(_BAD_REQUEST)
        if name.lower() == b"transfer-encoding":
            if value.lower() != b"chunked":
                raise Refused(_BAD_REQUEST)
            return None
        if not _DIGITS.fullmatch(value):
            raise Refused(_BAD_REQUEST)
        if len(value) <= 15 and _FILE.match(head):
            return self.body_at
        if len(value) > 9 or int(value) > LARGEST_BODY:
            raise Refused(_BODY_TOO_LARGE)
        return self.body_at + int(value)

    def _chunks_end(self) -> bool:
        """Move `at` over the chunks that are here; whether the last one is."""
        while True:
            if len(self.sent) - self.body_at > LARGEST_BODY:
                raise Refused(_BODY_TOO_LARGE)
            line_end = self.sent.find(b"\r\n", self.at, self.at + LONGEST_CHUNK_LINE)
            if line_end < 0:
                if len(self.sent) - self.at >= LONGEST_CHUNK_LINE:
                    raise Refused(_BAD_REQUEST)
                return False
            line = _CHUNK_SIZE.fullmatch(self.sent, self.at, line_end)
            if line is None or b"\n" in line[0]:
                raise Refused(_BAD_REQUEST)
            size = int(line[0].partition(b";")[0], 16)
            if size == 0:
                return self._trailers_end(line_end)
            data_end = line_end + 2 + size
            behind = self.sent[data_end : data_end + 2]
            if not b"\r\n".startswith(behind):
                raise Refused(_BAD_REQUEST)
            if len(behind) < 2:
                return False
            self.at = data_end + 2

    def _trailers_end(self, line_end: int) -> bool:
        """Trailers are read past by the server; a line feed alone is as wrong there as in the head."""
        end = self.sent.find(b"\r\n\r\n", line_end)
        if _BARE_LF.search(self.sent, line_end, end if end >= 0 else len(self.sent)):
            raise Refused(_BAD_REQUEST)
        return end >= 0
