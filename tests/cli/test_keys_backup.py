"""`authsvc keys backup`, `restore`, `reseal`: a ring comes back, moves house, changes its secret; no token fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from authsvc.clock import FixedClock
from authsvc.keyring.folder import RingFolder
from authsvc.keyring.models import SigningKeyRow
from tests.support.key_ring import OTHER_SECRET, SERVICE_SECRET, Operator, signed, verifies


@pytest.fixture
def operator(database_url: str, clock: FixedClock) -> Iterator[Operator]:
    """An installation whose ring lies in its database."""
    made = Operator.of(database_url, clock)
    yield made
    made.close()


@pytest.fixture
def in_folder(operator: Operator, clock: FixedClock, tmp_path: Path) -> Iterator[Operator]:
    """Another one, with a ring in a folder."""
    made = Operator.of(operator.environment["AUTHSVC_DATABASE_URL"], clock, keys_url=f"dir:{tmp_path}/keys")
    yield made
    made.close()


def lose_rows(operator: Operator) -> None:
    """The table is empty."""
    with operator.service.services.database.transaction() as tx:
        tx.execute(delete(SigningKeyRow))


def damage_rows(operator: Operator) -> None:
    """Every sealed text was cut."""
    with operator.service.services.database.transaction() as tx:
        tx.execute(update(SigningKeyRow).values(sealed="AAAA", revision=SigningKeyRow.revision + 1))


@pytest.mark.parametrize("harm", [lose_rows, damage_rows])
def test_a_ring_in_the_database_comes_back(
    operator: Operator, tmp_path: Path, harm: Callable[[Operator], None]
) -> None:
    """Tokens of before verify again; a running process was not troubled in between, and is ready again."""
    token, entries = signed(operator.ring), operator.ring.entries()
    assert operator.read("keys", "backup", str(tmp_path / "b")) == {"keys": 2, "folder": str(tmp_path / "b")}
    harm(operator)
    operator.service.pass_time(seconds=10)
    assert operator.ring.problem
    assert verifies(operator.ring, token)
    assert operator.read("keys", "restore", str(tmp_path / "b"))["lost"] == []
    operator.service.pass_time(seconds=10)
    assert (operator.ring.problem, operator.ring.entries()) == (None, entries)
    [row] = operator.service.events("key.restored")
    assert row.fields == {"keys": 2, "lost": []}


def test_a_ring_moves_to_another_home_and_no_token_fails(
    operator: Operator, in_folder: Operator, tmp_path: Path
) -> None:
    """From a folder into an empty table, sealed as it is, its past with it."""
    token = signed(in_folder.ring)
    in_folder.run("keys", "rotate", "--alg", "ES256")
    in_folder.service.pass_time(seconds=5)
    in_folder.read("keys", "backup", str(tmp_path / "b"))
    lose_rows(operator)
    operator.read("keys", "restore", str(tmp_path / "b"))
    moved = Operator.of(operator.environment["AUTHSVC_DATABASE_URL"], operator.service.clock)
    assert moved.ring.entries() == in_folder.ring.entries()
    assert verifies(moved.ring, token)
    moved.close()


def test_a_damaged_key_file_comes_back_beside_a_newer_schedule(in_folder: Operator, tmp_path: Path) -> None:
    """The list that can be read is the newer one; only what does not open is taken from the copy."""
    in_folder.read("keys", "backup", str(tmp_path / "b"))
    in_folder.run("keys", "rotate", "--alg", "ES256")
    first = next(entry for entry in RingFolder(in_folder.environment["AUTHSVC_KEYS_URL"]).load())
    (tmp_path / "keys" / first.private).write_text("AAAA")
    report = in_folder.read("keys", "restore", str(tmp_path / "b"))
    assert report == {"restored": [first.kid], "lost": [], "unsigned": []}
    in_folder.service.pass_time(seconds=5)
    assert in_folder.ring.problem is None
    assert len(in_folder.ring.entries()) == 3


def test_a_key_that_no_copy_has_is_given_up_when_the_operator_says_so(in_folder: Operator, tmp_path: Path) -> None:
    """It waited: the one before goes on. Asked first, for its tokens fail."""
    in_folder.read("keys", "backup", str(tmp_path / "b"))
    in_folder.run("keys", "rotate", "--alg", "ES256")
    newest = RingFolder(in_folder.environment["AUTHSVC_KEYS_URL"]).load()[-1]
    (tmp_path / "keys" / newest.private).unlink()
    refused = in_folder.run("keys", "restore", str(tmp_path / "b"), answer="n\n")
    assert (refused.exit_code, refused.stderr.count(newest.kid)) == (1, 1)
    report = in_folder.read("keys", "restore", str(tmp_path / "b"), "--yes")
    assert (report["lost"], report["unsigned"]) == ([newest.kid], [])
    in_folder.service.pass_time(days=20)
    assert in_folder.ring.problem is None
    assert verifies(in_folder.ring, signed(in_folder.ring))


def test_what_nothing_signs_with_any_more_is_said_with_the_command(in_folder: Operator, tmp_path: Path) -> None:
    """The only key of an algorithm is lost: `rotate` makes one that signs at once."""
    in_folder.run("keys", "rotate", "--alg", "ES256", "--now", "--yes")
    in_folder.service.pass_time(minutes=30)
    in_folder.read("keys", "backup", str(tmp_path / "b"))
    in_folder.run("keys", "rotate", "--alg", "ES256", "--now", "--yes")
    in_folder.service.pass_time(minutes=30)
    newest = RingFolder(in_folder.environment["AUTHSVC_KEYS_URL"]).load()[-1]
    (tmp_path / "keys" / newest.private).unlink()
    result = in_folder.run("keys", "restore", str(tmp_path / "b"), "--yes")
    assert "Nothing signs with ES256 now. Run `authsvc keys rotate --alg ES256`." in result.stdout
    assert in_folder.run("keys", "rotate", "--alg", "ES256").exit_code == 0
    in_folder.service.pass_time(seconds=5)
    assert verifies(in_folder.ring, signed(in_folder.ring))


def test_what_makes_no_sense_is_refused_in_one_sentence(operator: Operator, tmp_path: Path) -> None:
    """Nothing is broken, nothing is there, it is there already, another secret sealed it: nothing is changed."""
    copy = str(tmp_path / "b")
    operator.read("keys", "backup", copy)
    before = operator.ring.entries()
    (tmp_path / "empty").mkdir()
    for arguments, said in (
        (("backup", copy), "lies in"),
        (("restore", copy), "is whole"),
        (("restore", str(tmp_path / "empty")), "No key ring lies in"),
    ):
        result = operator.run("keys", *arguments)
        assert (result.exit_code, result.stdout) == (1, "")
        assert said in result.stderr
        assert result.stderr.count("\n") == 1
    lose_rows(operator)
    result = operator.run("keys", "restore", copy, AUTHSVC_SECRET=OTHER_SECRET)
    assert "of the copy cannot be opened" in result.stderr
    operator.read("keys", "restore", copy)
    operator.service.pass_time(seconds=10)
    assert operator.ring.entries() == before


def test_a_new_secret_takes_over_every_key(operator: Operator, in_folder: Operator) -> None:
    """After `reseal` the ring opens with the new secret alone, and no longer with the old one; the keys are the same."""
    for each in (operator, in_folder):
        token = signed(each.ring)
        both = {"AUTHSVC_SECRET": f"{OTHER_SECRET},{SERVICE_SECRET}"}
        said = each.run("keys", "reseal", **both)
        assert said.stdout.startswith("2 keys sealed anew, 0 keys already sealed with the first secret.\n")
        assert "Leave the last one in the list" in said.stdout
        assert each.run("keys", "reseal", **both).stdout.startswith("0 keys sealed anew, 2 keys already")
        assert each.run("keys", "list", AUTHSVC_SECRET=OTHER_SECRET).exit_code == 0
        assert each.run("keys", "list").exit_code == 1
        each.service.pass_time(seconds=10)
        assert "AUTHSVC_SECRET" in str(each.ring.problem)  # a process that was not restarted with the new one
        assert verifies(each.ring, token)
    assert [row.fields for row in operator.service.events("key.resealed")] == [{"resealed": 2, "apps": 0}] * 2
