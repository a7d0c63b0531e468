"""`authsvc member` and `authsvc account`, as support uses them (domain D12, D18)."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from authsvc.cli import main
from tests.support.service import DANA, SECRET, Service
from tests.support.team import PRIYA

Run = Callable[..., Result]


@pytest.fixture
def run(service: Service, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """One command, as an operator of this name, on the database of the service."""
    monkeypatch.chdir(tmp_path)
    for name, value in (("DATABASE_URL", database_url), ("LOG_LEVEL", "error"), ("SECRET", SECRET)):
        monkeypatch.setenv(f"AUTHSVC_{name}", value)
    account = service.account(mfa="email")
    service.member(account, DANA, role="admin", sensitive=True)
    service.member(account, PRIYA)

    def run_one(*arguments: str, operator: str = "alice", confirm: str | None = None) -> Result:
        for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
            monkeypatch.setenv(name, operator)
        assert getpass.getuser() == operator
        return CliRunner().invoke(main, list(arguments), input=confirm)

    return run_one


PERSON = ("--account", "northgate", "--email", PRIYA)


def test_d12_two_operators_grant_and_one_removes(run: Run, service: Service) -> None:
    """The words lead from one command to the next."""
    asked = run("member", "request-data-access", *PERSON, "--json")
    assert asked.exit_code == 0, asked.output
    request_id = json.loads(asked.stdout)["id"]
    own = run("member", "approve-data-access", request_id)
    assert (own.exit_code, own.stderr) == (1, "You made this request yourself. Another operator must approve it.\n")
    assert request_id in run("member", "show", *PERSON).stdout
    granted = run("member", "approve-data-access", request_id, operator="bob")
    assert granted.stdout == "Granted. The person and everybody who has it are told by mail.\n"
    assert json.loads(run("member", "show", *PERSON, "--json").stdout)["data_access"] is True
    assert run("member", "remove-data-access", *PERSON).stdout == "Removed. It holds from their next request on.\n"
    rows = [(row.name, row.operator) for row in service.events() if row.name.startswith("data_access.")]
    assert rows == [
        ("data_access.requested", "alice"),
        ("data_access.granted", "bob"),
        ("data_access.removed", "alice"),
    ]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("reset-mfa", "Reset. They are asked for an emailed code next time, and were told by mail.\n"),
        ("sign-out", "Signed out: 0 sessions ended.\n"),
        ("deactivate", "Inactive, and signed out.\n"),
        ("reactivate", "Nothing to do: it is so already.\n"),
    ],
)
def test_every_act_says_what_it_did(run: Run, command: str, says: str) -> None:
    """And may be repeated."""
    first = run("member", command, *PERSON)
    assert (first.exit_code, first.stdout) == (0, says)


def test_a_leaver_comes_back(run: Run) -> None:
    """Deactivate, list, reactivate."""
    run("member", "deactivate", *PERSON)
    listed = [
        json.loads(line) for line in run("member", "list", "--account", "northgate", "--json").stdout.splitlines()
    ]
    assert {(one["email"], one["state"]) for one in listed} == {(DANA, "active"), (PRIYA, "inactive")}
    refused = run("member", "reset-mfa", *PERSON)
    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
    assert "`authsvc member reactivate`" in refused.stderr
    assert run("member", "reactivate", *PERSON, "--json").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("member", "show", "--account", "nowhere", "--email", PRIYA), "There is no account with this slug."),
        (("member", "show", "--account", "northgate", "--email", "x\0y"), "Nobody of this address is in the team."),
        (("member", "approve-data-access", "nonsense"), "There is no such request"),
        (("account", "show", "nowhere"), "There is no account with this slug."),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(run: Run, arguments: tuple[str, ...], says: str) -> None:
    """On stderr, exit status 1."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert says in result.stderr


def test_an_account_is_closed_after_a_question_and_opened_again(run: Run, service: Service) -> None:
    """Nothing is deleted."""
    assert run("account", "close", "northgate", confirm="n\n").exit_code == 1
    assert run("account", "close", "northgate", "--yes").stdout == "Closed: 0 sessions ended.\n"
    person = service.person()
    service.sign_in(person, PRIYA)
    assert "closed" in person.here.text
    assert "closed" in run("account", "list").stdout
    assert json.loads(run("account", "show", "northgate", "--json").stdout)["closed_at"]
    assert run("account", "reopen", "northgate").stdout == "Open again. Everybody signs in anew.\n"
    assert "open" in run("account", "list").stdout
