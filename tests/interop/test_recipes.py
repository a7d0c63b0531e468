"""RECIPES.md, word for word: each block is taken from the page and run against an issuer on this machine."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from werkzeug.test import Client

import authsvc.resource_server
from authsvc.resource_server.testing import MockIssuer, State
from tests.support.install import NODE_FOLDER
from tests.unit.resource_server.asgi_calls import completed, http_scope, received

PAGE = (Path(authsvc.resource_server.__file__).parent / "RECIPES.md").read_text()
ISSUER, AUDIENCE = "https://login.ims.example", "https://api.ims.example/investors"
BLOCKS = re.findall(r"^## ([^\n]+)\n(?:(?!^## ).)*?^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
#: Every status, and what is in the challenge.
Outcome = tuple[int, Mapping[str, str]]
Ask = Callable[[str, Mapping[str, str]], Outcome]
#: Whether a code was entered just now.
FRESH_CODE = {State.TWO_STEP, State.ENROLLED, State.STEPPED_UP, State.OLD_KEY, State.NEW_KEY, State.REVOKED}
LIST, DETAILS = "/investors", "/investors/bank-details"


@pytest.fixture
def issuer() -> Iterator[MockIssuer]:
    """On HTTP, for the API of the recipes."""
    with MockIssuer(audience=AUDIENCE) as issuer:
        issuer.serve()
        yield issuer


def block(heading: str, issuer: MockIssuer) -> str:
    """The code under a heading, with the address of this test's issuer."""
    (code,) = (code for title, _, code in BLOCKS if title == heading)
    assert ISSUER in code
    return code.replace(ISSUER, issuer.issuer)


def module(folder: Path, name: str, code: str) -> ModuleType:
    """The code as a module."""
    file = folder / f"{name}.py"
    file.write_text(code)
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def by_wsgi(app: Any) -> Ask:
    def ask(path: str, headers: Mapping[str, str]) -> Outcome:
        answer = Client(app).get(path, headers=headers)
        return answer.status_code, {name.lower(): value for name, value in answer.headers}

    return ask


def by_asgi(app: Any) -> Ask:
    def ask(path: str, headers: Mapping[str, str]) -> Outcome:
        start = completed(received(app, http_scope(path, headers)))[0]
        return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}

    return ask


@contextmanager
def by_node(code: str) -> Iterator[Ask]:
    """The recipe in a Node process, which says its port and ends with its standard input."""
    code += (
        "\nserver.listen(0, '127.0.0.1', () => console.log(server.address().port))"
        "\nprocess.stdin.resume().on('end', () => process.exit(0))"
    )
    command = ["node", "--input-type=module", "--eval", code]
    with subprocess.Popen(
        command, cwd=NODE_FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as node:
        assert node.stdin is not None
        assert node.stdout is not None
        port = node.stdout.readline().strip()
        assert port.isdigit(), port + node.stdout.read()

        def ask(path: str, headers: Mapping[str, str]) -> Outcome:
            try:
                with urlopen(Request(f"http://127.0.0.1:{port}{path}", headers=dict(headers)), timeout=20) as answer:
                    return answer.status, {name.lower(): value for name, value in answer.headers.items()}
            except HTTPError as refused:
                with refused:
                    return refused.code, {name.lower(): value for name, value in refused.headers.items()}

        try:
            yield ask
        finally:
            node.stdin.close()
            node.wait(20)


@contextmanager
def running(recipe: str, issuer: MockIssuer, folder: Path) -> Iterator[Ask]:
    """A recipe, started."""
    code = block(recipe, issuer)
    if recipe == "Node (jose)":
        with by_node(code) as ask:
            yield ask
    else:
        app = module(folder, "recipe", code).app
        yield by_asgi(app) if recipe == "FastAPI" else by_wsgi(app)


OFFLINE = pytest.mark.parametrize("recipe", ["Flask", "FastAPI", "Plain WSGI", "Node (jose)"])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_every_block_of_the_page_is_run_here() -> None:
    """A block that nobody runs is wrong by next year."""
    assert [(title, language) for title, language, _ in BLOCKS] == [
        ("Flask", "python"),
        ("FastAPI", "python"),
        ("Plain WSGI", "python"),
        ("Node (jose)", "js"),
        ("Asking the issuer each time", "python"),
        ("Your own tests", "python"),
    ]
    assert PAGE.count("\n```") == 2 * len(BLOCKS)


@OFFLINE
def test_each_state_is_answered_as_the_page_says(recipe: str, issuer: MockIssuer, tmp_path: Path) -> None:
    """Every state at an ordinary and at a sensitive path; Node's answers are the kit's."""
    tokens = {state: issuer.mint(state) for state in State}
    with running(recipe, issuer, tmp_path) as ask:
        for state, token in tokens.items():
            status, headers = ask(LIST, bearer(token))
            assert status == (200 if state.is_good else 401), state
            if not state.is_good:
                assert 'error="invalid_token"' in headers["www-authenticate"], state
            status, headers = ask(DETAILS, bearer(token))
            assert status == (200 if state in FRESH_CODE else 401), state
            if state.is_good and status == 401:
                challenge = headers["www-authenticate"]
                assert 'error="insufficient_user_authentication"' in challenge, state
                assert 'acr_values="urn:ims:acr:two-step"' in challenge
                assert 'max_age="900"' in challenge


@OFFLINE
def test_every_other_row_of_the_table_too(recipe: str, issuer: MockIssuer, tmp_path: Path) -> None:
    """No token, a token in the query, no scope, a code too long ago, an open path."""
    long_ago = int(issuer.now()) - 1_000
    with running(recipe, issuer, tmp_path) as ask:
        assert ask("/healthz", {})[0] == 200
        status, headers = ask(LIST, {})
        assert (status, headers["www-authenticate"], headers["cache-control"]) == (401, "Bearer", "no-store")
        assert ask(f"{LIST}?access_token={issuer.mint()}", bearer(issuer.mint()))[0] == 400
        status, headers = ask(LIST, bearer(issuer.mint(scope="openid")))
        assert (status, 'scope="investors.read"' in headers["www-authenticate"]) == (403, True)
        assert ask(DETAILS, bearer(issuer.mint(auth_time=long_ago)))[0] == 401
        assert ask(LIST, bearer(issuer.mint(auth_time=long_ago)))[0] == 200
        for changes in ({"exp": None}, {"jti": None}, {"iat": int(issuer.now()) + 120}, {"cnf": {"jkt": "x"}}):
            assert ask(LIST, bearer(issuer.mint(**changes)))[0] == 401, changes


@OFFLINE
def test_an_outage_signs_nobody_out(recipe: str, issuer: MockIssuer, tmp_path: Path) -> None:
    """503 and Retry-After when the keys were never there."""
    issuer.down = True
    with running(recipe, issuer, tmp_path) as ask:
        status, headers = ask(LIST, bearer(issuer.mint()))
        assert (status, headers["retry-after"], "www-authenticate" in headers) == (503, "30", False)


def test_asking_the_issuer_knows_what_was_revoked(issuer: MockIssuer, tmp_path: Path) -> None:
    """The block on introspection."""
    with running("Asking the issuer each time", issuer, tmp_path) as ask:
        for state in State:
            assert ask(LIST, bearer(issuer.mint(state)))[0] == (200 if state.is_live else 401), state


def test_the_tests_of_the_page_pass(issuer: MockIssuer, tmp_path: Path) -> None:
    """The block for a consumer's own suite, in a pytest run of its own."""
    (tmp_path / "investors_api.py").write_text(block("Flask", issuer))
    (code,) = (code for title, _, code in BLOCKS if title == "Your own tests")
    (tmp_path / "test_investors_api.py").write_text(code)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-W", "error"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{len(State) + 5} passed" in run.stdout


def test_the_page_names_every_state() -> None:
    """The last table."""
    assert set(re.findall(r"`([A-Z_]+)`", PAGE.rpartition("| state |")[2])) == {state.name for state in State}


def test_the_page_comes_with_the_package() -> None:
    """Next to the code, in the wheel too (setup.cfg, package_data); the lock of npm names no registry."""
    setup = (NODE_FOLDER.parents[2] / "setup.cfg").read_text()
    assert "resource_server/*.md" in setup
    lock = json.loads((NODE_FOLDER / "package-lock.json").read_text())
    assert not any("resolved" in package for package in lock["packages"].values())
