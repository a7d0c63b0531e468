"""The key ring when files are lost, damaged, or sealed with another secret: refuse to start, sign on, never mint."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from authsvc.keyring.folder import KeyUnreadable, RingDamaged, RingFolder, RingNotWritable, RingUnreadable
from authsvc.keyring.schedule import NOTICED_WITHIN
from tests.support.key_ring import OTHER_SECRET, RULES, SMALL_RSA_BITS, Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty place."""
    return Home(tmp_path / "keys")


def change(home: Home, **fields: object) -> None:
    """Rewrite members of the first key in ring.yaml; the keyword `schema` is the document's."""
    place = home.path / "ring.yaml"
    document = yaml.safe_load(place.read_text())
    if "schema" in fields:
        document["schema"] = fields.pop("schema")
    document["keys"][0].update(fields)
    place.write_text(yaml.safe_dump(document))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"schema": "authsvc/keyring/2"}, "schema"),
        ({"surprise": 1}, "surprise"),
        ({"kid": "short"}, "kid"),
        ({"use": "seal"}, "use"),
        ({"algorithm": "HS256"}, "algorithm"),
        ({"algorithm": "none"}, "algorithm"),
        ({"private": "../other/key.sealed"}, "private"),
        ({"private": "/etc/passwd"}, "private"),
        ({"publish_from": None}, "publish_from"),
        ({"publish_from": "2026-11-22T12:00:00"}, "timezone"),
        ({"publish_from": "2026-13-45T12:00:00Z"}, "publish_from"),
        ({"publish_from": "2027-01-01T00:00:00Z"}, "follow one another"),
        ({"use_until": "2027-01-01T00:00:00Z"}, "come together"),
        ({"use_until": "2027-01-01T00:00:00Z", "publish_until": "2026-12-31T00:00:00Z"}, "follow one another"),
    ],
)
def test_a_document_that_does_not_fit_together_is_refused(home: Home, fields: dict[str, object], reason: str) -> None:
    """A new process refuses to start and names the place."""
    home.with_es256()
    change(home, **fields)
    with pytest.raises(RingDamaged, match=reason):
        home.open()


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"keys: [", b"\xff\xfe\x00", b"a: &a [*a]", b"- " * 3000, b"schema: authsvc/keyring/1\n"]
)
def test_a_document_that_is_no_ring_is_refused(home: Home, content: bytes) -> None:
    """An empty file is damage and not an empty ring."""
    home.with_es256()
    (home.path / "ring.yaml").write_bytes(content)
    with pytest.raises(RingDamaged, match="restore it from the backup"):
        home.open()


def test_a_key_that_is_there_twice_is_refused(home: Home) -> None:
    """One kid, one key."""
    home.with_es256()
    entries = RingFolder(home.url).load()
    RingFolder(home.url).save(entries * 2, {})
    with pytest.raises(RingDamaged, match="twice"):
        home.open()


def test_a_lost_document_is_not_an_empty_ring(home: Home) -> None:
    """Nobody mints fresh keys beside sealed ones that verifiers know, neither at start nor by command."""
    ring = home.with_es256()
    (home.path / "ring.yaml").unlink()
    with pytest.raises(RingDamaged, match=r"missing although sealed keys lie beside it"):
        home.open()
    with pytest.raises(RingUnreadable):
        ring.create_first_keys(rsa_bits=SMALL_RSA_BITS)
    with pytest.raises(RingUnreadable):
        ring.rotate("ES256", rules=RULES)
    assert len(list(home.path.glob("*.sealed"))) == 1


def test_the_wrong_secret_is_said_plainly(home: Home) -> None:
    """The operator reads which key and what to check; the process does not start."""
    kid = home.with_es256().active("ES256").kid
    with pytest.raises(KeyUnreadable, match=rf"Key {kid} cannot be opened: AUTHSVC_SECRET is not the one"):
        home.open(OTHER_SECRET)


@pytest.mark.parametrize("content", [b"", b"AAAA", b"not base64!", b"\xff", None])
def test_a_damaged_key_file_is_said_plainly(home: Home, content: bytes | None) -> None:
    """Truncated, replaced, or missing: one sentence with the file's name."""
    home.with_es256()
    file = home.key_file()
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    with pytest.raises(KeyUnreadable, match=file.name):
        home.open()


def lose_document(home: Home) -> None:
    """No ring.yaml."""
    (home.path / "ring.yaml").unlink()


def lose_everything(home: Home) -> None:
    """Another volume is mounted there."""
    for file in home.path.iterdir():
        file.unlink()


def damage_document(home: Home) -> None:
    """Somebody edited it."""
    change(home, algorithm="HS256")


def damage_key(home: Home) -> None:
    """Bits changed in a sealed file."""
    home.key_file().write_text("AAAA")


def turn_document_into_a_folder(home: Home) -> None:
    """Reading is refused by the system, whoever asks."""
    (home.path / "ring.yaml").unlink()
    (home.path / "ring.yaml").mkdir()


@pytest.mark.parametrize(
    "harm", [lose_document, lose_everything, damage_document, damage_key, turn_document_into_a_folder]
)
def test_a_running_process_signs_on_from_memory_and_says_so(home: Home, harm: Callable[[Home], None]) -> None:
    """Key store unreadable: signing goes on, readiness tells, nothing is minted; once repaired, the problem is over."""
    ring = home.with_es256()
    kid, version = ring.active("ES256").kid, ring.version
    backup = {file.name: file.read_bytes() for file in home.path.iterdir()}
    harm(home)
    home.clock.advance(NOTICED_WITHIN)
    for _ in range(2):
        assert ring.problem
        assert (ring.active("ES256").kid, ring.version, len(ring.public_jwks()["keys"])) == (kid, version, 1)
        home.clock.advance(timedelta(days=1))
    with pytest.raises((RingUnreadable, KeyUnreadable)):
        ring.rotate("ES256", rules=RULES)

    if (home.path / "ring.yaml").is_dir():
        (home.path / "ring.yaml").rmdir()
    for name, content in backup.items():
        (home.path / name).write_bytes(content)
    home.clock.advance(NOTICED_WITHIN)
    assert not ring.problem
    assert ring.rotate("ES256", rules=RULES)


def test_a_folder_that_was_away_for_a_while_is_no_problem_for_ever(home: Home) -> None:
    """A volume that comes back has the same files as before, down to their times."""
    ring = home.with_es256()
    away = home.path.rename(home.path.with_name("away"))
    home.clock.advance(NOTICED_WITHIN)
    assert "has lost its keys" in str(ring.problem)
    away.rename(home.path)
    home.clock.advance(NOTICED_WITHIN)
    assert ring.problem is None


def test_a_folder_that_cannot_be_written_is_said_plainly(home: Home) -> None:
    """The reason is the system's own word, and nothing is half made."""
    (home.path / ".lock").mkdir(parents=True)
    with pytest.raises(RingNotWritable, match="cannot be written: Is a directory"):
        home.open().create_first_keys(rsa_bits=SMALL_RSA_BITS)
    assert [file.name for file in home.path.iterdir()] == [".lock"]


def test_a_file_where_the_folder_should_be_is_said_plainly(home: Home) -> None:
    """A wrong path is no empty ring."""
    home.path.write_text("")
    with pytest.raises(RingUnreadable, match="Not a directory"):
        home.open()
