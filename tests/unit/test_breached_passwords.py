"""The file of leaked passwords: what stands in it is found, nothing else is, and another file is no reason to start."""

from __future__ import annotations

from hashlib import sha1
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc.crypto.breached import BreachedPasswords
from authsvc.errors import ConfigurationError

#: Lines as they are published. The first is "password", the last "123456".
PUBLISHED = (
    b"5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8:10434004\r\n"
    b"601F1889667EFAEBB33B8C12572835DA3F027F78:1256907\r\n"
    b"6367C48DD193D56EA7B0BAAD25B19455E529F5EE:3946737\r\n"
    b"7C4A8D09CA3762AF61E59520943DC26494F8941B:42542807\r\n"
)


def line(password: str, count: int = 1) -> bytes:
    """The password's line, without its end."""
    return (
        f"{sha1(password.encode('utf-8', 'surrogatepass'), usedforsecurity=False).hexdigest().upper()}:{count}".encode()
    )


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_d21_a_published_file_is_searched_where_it_lies(tmp_path: Path, end: bytes) -> None:
    """With either line end, and with or without one at its end; at its first and last line."""
    file = tmp_path / "pwnedpasswords.txt"
    for text in (PUBLISHED, PUBLISHED.removesuffix(b"\r\n")):
        file.write_bytes(text.replace(b"\r\n", end))
        known = BreachedPasswords.open(file)
        assert [known.holds(one) for one in ("password", "abc123", "123456")] == [True, True, True]
        assert not any(known.holds(one) for one in ("Password", "password ", "", "\0", "\ud800", "x" * 256))
    assert not BreachedPasswords.open(None).holds("password")


@given(st.sets(st.text(st.characters(codec=None), max_size=12), max_size=60), st.integers(0, 10**9), st.booleans())
def test_d21_exactly_what_is_listed_is_found(passwords: set[str], count: int, ends: bool) -> None:
    """Whatever the size of the list and the lengths of its lines, surrogates and all."""
    listed = {one for one in passwords if len(one) % 2}
    text = b"\r\n".join(sorted(line(one, count >> (len(one) * 3)) for one in listed)) + (b"\r\n" if ends else b"")
    known = BreachedPasswords(text)
    assert {one for one in passwords if known.holds(one)} == listed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read or is empty"),
        (b"", "cannot be read or is empty"),
        (PUBLISHED.lower(), "holds no line HASH:COUNT at byte 0"),
        (PUBLISHED.replace(b":", b" "), "holds no line HASH:COUNT at byte 0"),
        (b"\xef\xbb\xbf" + PUBLISHED, "holds no line HASH:COUNT at byte 0"),
        (b"8846F7EAEE8FB117AD06BDD830B7586C:10434004\n" * 3, "holds no line HASH:COUNT at byte 0"),
        (PUBLISHED + b"<html>", "holds no line HASH:COUNT at byte 202"),
        (b"\0" * 100_000, "holds no line HASH:COUNT at byte 0"),
        (PUBLISHED + b"\0" * 100_000, "holds no line HASH:COUNT at byte"),
        (b"".join(reversed(PUBLISHED.splitlines(True))), "is not in the order of its hashes at byte 51"),
        (b"\n".join(sorted(map(line, "abcdefghij"), key=lambda one: one[7:])), "is not in the order of its hashes"),
    ],
)
def test_another_file_is_refused_in_one_sentence(tmp_path: Path, text: bytes | None, said: str) -> None:
    """Ordered by count, of another hash, cut or not there: told at start, with the setting's name and the place."""
    file = tmp_path / "list.txt"
    if text is not None:
        file.write_bytes(text)
    with pytest.raises(ConfigurationError) as caught:
        BreachedPasswords.open(file)
    [problem] = caught.value.problems
    assert problem.startswith(f"AUTHSVC_BREACHED_PASSWORDS_FILE names {file}, which {said}")
    with pytest.raises(ConfigurationError):
        BreachedPasswords.open(tmp_path)
