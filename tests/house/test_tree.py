"""Rules about the tree: what would be missing from the package, grow too large, or mean nothing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = ("authsvc", "tests", "bench")
#: Made by tools and ignored by git; names that begin with a dot are too, but for those that are ours.
MADE = {"__pycache__", "var", "build", "dist", "htmlcov"}
OURS = {".ci", ".gitignore", ".dockerignore", ".github"}


def files(folder: Path) -> Iterator[Path]:
    """Every file of ours in `folder` and below."""
    for path in sorted(folder.iterdir()):
        is_made = path.name in MADE or path.name.endswith(".egg-info")
        if is_made or path.is_symlink() or (path.name.startswith(".") and path.name not in OURS):
            continue
        if path.is_dir():
            yield from files(path)
        else:
            yield path


def code(*suffixes: str) -> list[Path]:
    """Files of the source folders with one of `suffixes`."""
    folders = [ROOT / name for name in CODE if (ROOT / name).is_dir()]
    return [path for folder in folders for path in files(folder) if path.suffix in suffixes]


def named(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def test_every_folder_with_code_is_a_package() -> None:
    """Without `__init__.py` it is in no wheel, and import-linter does not see it."""
    folders = {path.parent for path in code(".py") if path.is_relative_to(ROOT / "authsvc")}

    assert named(sorted(folder for folder in folders if not (folder / "__init__.py").is_file())) == []


def test_no_file_is_longer_than_400_lines() -> None:
    """Two reasons to change have met in it: split it by use case."""
    # A migration is written once, by Alembic; nobody works in it.
    written = [
        path for path in code(".py", ".html", ".css", ".js", ".mako", ".txt", ".yaml") if path.parent.name != "versions"
    ]

    assert named([path for path in written if len(path.read_text().splitlines()) > 400]) == []


def test_every_module_is_named_after_its_content() -> None:
    """The content of a `utils` always has a name of its own."""
    meaningless = {"util", "utils", "helper", "helpers", "common", "misc"}

    assert named([path for path in code(".py") if meaningless & {path.stem, path.parent.name}]) == []


def test_no_file_knows_where_it_was_written() -> None:
    """A path of one machine works on that machine only. (A checkout right under / is not told from a plain word.)"""
    needle = str(ROOT).encode()
    is_told = len(ROOT.parts) > 2

    assert named([path for path in files(ROOT) if is_told and needle in path.read_bytes()]) == []


def test_the_lock_files_agree() -> None:
    """One environment serves them all, so what two of them pin must be one version."""
    pin = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==([^ ;\\]+)", re.MULTILINE)
    pins = {
        name: dict(pin.findall((ROOT / "requirements" / f"{name}.txt").read_text()))
        for name in ("server", "image", "test", "dev")
    }

    assert pins["server"]
    assert pins["server"].items() <= pins["image"].items() <= pins["test"].items()
    assert pins["test"].items() <= pins["dev"].items()


TESTS = [path for path in code(".py") if path.is_relative_to(ROOT / "tests") and path.name.startswith("test_")]


@pytest.mark.parametrize("path", TESTS, ids=named(TESTS))
def test_every_test_says_what_it_promises(path: Path) -> None:
    """By a docstring, or by a name of four words or more behind `test_`."""
    silent = [
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        if ast.get_docstring(node) is None and len(node.name.split("_")) < 5
    ]

    assert silent == []


#: Sleeping is slow or flaky: poll with a deadline. What is skipped or patched is not checked.
FORBIDDEN = (
    *("time.sleep", ".wait_for_timeout"),
    *(
        "pytest.skip",
        "pytest.importorskip",
        "pytest.xfail",
        "pytest.mark.skip",
        "pytest.mark.skipif",
        "pytest.mark.xfail",
    ),
    *("unittest.mock", "freezegun", "time_machine", "monkeypatch.setattr"),
)


def used_names(tree: ast.Module) -> Iterator[str]:
    """Each dotted name that is read or imported, in full."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield ast.unparse(node)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{name.name}" for name in node.names)
            yield node.module


@pytest.mark.parametrize("path", TESTS, ids=named(TESTS))
def test_no_test_sleeps_skips_or_patches(path: Path) -> None:
    """What a test leaves out or replaces is what breaks in production."""
    assert [name for name in used_names(ast.parse(path.read_text())) if name.endswith(FORBIDDEN)] == []
