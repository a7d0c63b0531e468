"""Names and cells that people and clients chose, in headers and spreadsheets (security.md TN-09). Pure."""

from __future__ import annotations

import csv
import io
from email.message import Message
from itertools import chain

from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.http import parse_options_header

from authsvc.exports import naming, sheet


def shown(name: str) -> str:
    """The header for a file of this name."""
    return naming.content_disposition(naming.file_name(name, "text/csv", "2026-11-22"))


def test_tn09_a_file_is_named_after_its_export() -> None:
    """RFC 6266 4.3: both forms, for clients of today and of before."""
    assert shown("Sign-in activity") == (
        "attachment; filename=\"Sign-in activity 2026-11-22.csv\"; filename*=UTF-8''Sign-in%20activity%202026-11-22.csv"
    )
    assert "filename*=UTF-8''Zo%C3%AB%202026-11-22.csv" in shown("Zoë")
    assert 'filename="Zoe 2026-11-22.csv"' in shown("Zoë")
    assert shown("投資家").startswith('attachment; filename="2026-11-22.csv"; filename*=UTF-8')
    assert naming.file_name("K-1.zip", "application/zip", "2026-11-22") == "K-1 2026-11-22.zip"
    assert naming.file_name("x", "application/unheard-of", "2026-11-22") == "x 2026-11-22.bin"


@given(st.text(max_size=300))
@example("../../etc/passwd")
@example("..\\..\\windows\\system32")
@example('a"; filename="evil.exe')
@example("a\r\nSet-Cookie: x=1")
@example("\u202efdp.exe")
@example("....")
@example("/")
@example("a%2f..%2fb")
@example("\ud800")
def test_tn09_no_name_leaves_its_folder_its_header_or_its_quotes(name: str) -> None:
    """`../`, CRLF, quotes, direction marks, lone surrogates: one header, one file, one ending."""
    header = shown(name)
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2
    kind, options = parse_options_header(header)
    assert kind == "attachment"
    assert set(options) == {"filename"}
    message = Message()
    message["Content-Disposition"] = header
    for found in (options["filename"], message.get_filename() or "", header.split('"')[1]):
        assert found.endswith("2026-11-22.csv")
        assert not {"/", "\\", "\0", "\r", "\n", "\u202e", '"', ":"} & set(found)
        assert not found.startswith(".")
        assert len(found) <= naming.LONGEST + 20


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=3), max_size=4))
@example([['=cmd|"/c calc"!A1', "+1", "-1"], ["@SUM(A1)", "\t=1", "\r=1"], ["＝1+1", " =1", '","=1']])
@example([["\n=1", "\ufeff=1", "a\0b"]])
def test_tn09_no_cell_is_a_formula_and_none_is_lost(rows: list[list[str]]) -> None:
    """RFC 4180 gives back every cell, with an apostrophe before what a spreadsheet would compute (OWASP, ASVS 1.2.10)."""
    written = sheet.lines(rows)
    assert written == b"" or written.endswith(b"\r\n")
    read = list(csv.reader(io.StringIO(written.decode(), newline="")))
    assert [len(row) for row in read] == [len(row) for row in rows]
    for cell, typed in zip(chain(*read), chain(*rows), strict=True):
        assert not cell.lstrip("\ufeff ").startswith(sheet.FORMULA), typed
        assert cell.removeprefix("'") == typed.replace("\0", "").removeprefix("'")


def test_sizes_are_said_as_people_say_them() -> None:
    """As the mock has them."""
    said = [naming.size(count) for count in (1, 999, 1000, 310_400, 999_999, 2_440_000, 24_000_000, 3_200_000_000)]
    assert said == ["1 byte", "999 bytes", "1 KB", "310 KB", "1.0 MB", "2.4 MB", "24 MB", "3.2 GB"]
