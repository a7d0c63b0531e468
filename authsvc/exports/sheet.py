"""CSV that a spreadsheet reads as text, whatever people have typed (RFC 4180; OWASP "CSV Injection"; security.md TN-09)."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable

#: Without it a spreadsheet takes UTF-8 for something older.
BOM = b"\xef\xbb\xbf"
#: What begins a formula, also in the full-width forms that some programs fold; and what may hide one.
FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20\t\r\n")


def neutral(cell: str) -> str:
    """`cell`, with an apostrophe in front where a spreadsheet would compute it. NULs, which no reader takes, are dropped."""
    cell = cell.replace("\0", "")
    # Blanks and invisible characters before it hide a formula from us, and from some programs it is none the less one.
    first = next((char for char in cell if not char.isspace() and unicodedata.category(char) != "Cf"), "")
    return f"'{cell}" if cell.startswith(FORMULA) or first in FORMULA else cell


def lines(rows: Iterable[Iterable[str]]) -> bytes:
    """The rows as CSV: every field in quotes, so that no separator of any locale begins another; CRLF; UTF-8."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerows([neutral(cell) for cell in row] for row in rows)
    return text.getvalue().encode(errors="replace")
