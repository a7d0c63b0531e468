"""What a downloaded file is called. Pure. Names come from clients and people; they may hold anything (security.md TN-09)."""

from __future__ import annotations

import mimetypes
import re
import unicodedata
from urllib.parse import quote

#: Known without asking the machine's own table, which differs from one to the next.
ENDINGS = {
    "text/csv": ".csv",
    "text/plain": ".txt",
    "application/json": ".json",
    "application/pdf": ".pdf",
    "application/zip": ".zip",
    "application/vnd.ms-excel": ".xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
}
LABELS = {
    ".csv": "CSV",
    ".txt": "Text",
    ".json": "JSON",
    ".pdf": "PDF",
    ".zip": "ZIP",
    ".xls": "Excel",
    ".xlsx": "Excel",
}
LONGEST = 120
#: What separates folders, drives and streams, ends a quoted string, or means something to a shell or a spreadsheet's address.
_BAD = re.compile(r"""[/\\:*?"<>|;%'`$]+""")
#: RFC 8187 3.2.1, attr-char.
_PLAIN = "!#$&+-.^_`|~"


def file_name(name: str, media_type: str, day: str) -> str:
    """ "Team Members 2026-11-22.csv": one name without a path, whatever `name` is. `day`: as in 2026-11-22."""
    ending = ENDINGS.get(media_type) or mimetypes.guess_extension(media_type) or ".bin"
    # Cc, Cf, Zl and Zp: line breaks make headers, direction marks turn "fdp.exe" around. Cs is no character at all.
    shown = "".join(char for char in name if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp"))
    shown = " ".join(_BAD.sub(" ", shown).split()).strip(". ")[:LONGEST].rstrip(". ")
    shown = shown.removesuffix(ending).rstrip(". ")
    return f"{shown or 'Export'} {day}{ending}"


def content_disposition(name: str) -> str:
    """The header for a name of `file_name`: to be saved, in both forms that browsers know (RFC 6266 4.3, RFC 8187)."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = " ".join(_BAD.sub(" ", plain).split()).strip(". ")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe=_PLAIN)}"


def kind_of_file(media_type: str) -> str:
    """What people call it: "CSV"."""
    ending = ENDINGS.get(media_type) or mimetypes.guess_extension(media_type) or ""
    return LABELS.get(ending, ending.lstrip(".").upper() or "File")


def size(count: int) -> str:
    """Bytes as people say them: "310 KB", "2.4 MB". A KB is 1,000 bytes, as in the programs that show the file."""
    if count < 1000:
        return f"{count} byte{'' if count == 1 else 's'}"
    for unit in ("KB", "MB", "GB"):
        count_in_unit = count / 1000
        if round(count_in_unit, 1) < 1000 or unit == "GB":
            shown = f"{count_in_unit:.1f}" if count_in_unit < 10 and unit != "KB" else f"{count_in_unit:.0f}"
            return f"{shown} {unit}"
        count = round(count / 1000)
    raise AssertionError
