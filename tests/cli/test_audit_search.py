"""`authsvc audit tail` and `search`: who did what, found by whatever one knows."""

from __future__ import annotations

import json
import os

import pytest
from click.testing import CliRunner, Result

from authsvc.cli import main
from tests.support.processes import poll, running
from tests.support.remote import AUTHSVC
from tests.support.service import DANA, SECRET, Service

OTHER = "priya@harborview.example"


def search(*arguments: str) -> Result:
    """One search."""
    return CliRunner().invoke(main, ["audit", "search", *arguments])


@pytest.fixture
def trail(service: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    """Dana mistyped and signed in to one account, Priya two hours later to another; a client failed to authenticate."""
    monkeypatch.setenv("AUTHSVC_DATABASE_URL", service.services.settings.database_url)
    monkeypatch.setenv("AUTHSVC_SECRET", SECRET)
    service.member(service.account())
    service.member(service.account("harborview"), OTHER)
    service.client()
    dana = service.person()
    service.sign_in(dana, password="not my password")
    service.sign_in(dana)
    service.pass_time(hours=2)
    service.sign_in(service.person(address="203.0.113.9"), OTHER)
    service.token(client=("ims-portal", "wrong"), grant_type="client_credentials")
    return service


def names(*arguments: str) -> list[str]:
    """The events found, oldest first."""
    result = search(*arguments, "--json")
    assert result.exit_code in (0, 1), result.output
    return [json.loads(line)["name"] for line in result.stdout.splitlines()]


def test_the_trail_is_found_by_whatever_one_knows(trail: Service) -> None:
    """Person, account, event, client, reference, address, time, and all of them together."""
    [wrong] = trail.events("password.wrong")
    assert names("--person", DANA.upper()) == ["password.wrong", "session.started"]
    assert names("--person", str(wrong.user_id)) == ["password.wrong", "session.started"]
    assert names("--account", "harborview") == ["session.started"]
    assert names("--event", "password.wrong", "--event", "client.*") == [
        "password.wrong",
        "client.authentication_failed",
    ]
    assert names("--client", "ims-portal") == ["client.authentication_failed"]
    assert names("--request", wrong.request_id) == ["password.wrong"]
    assert names("--address", "203.0.113.9") == ["session.started"]
    assert names("--until", (wrong.at.isoformat())) == []
    began = wrong.at.strftime("%Y-%m-%dT%H:%M")
    assert len(names("--since", began)) == 4
    assert names("--since", began, "--person", OTHER, "--event", "session.*") == ["session.started"]
    assert names("-n", "1") == ["client.authentication_failed"]


def test_a_line_shows_people_masked_and_machines_everything(trail: Service) -> None:
    """Addresses are masked as on every page; --json has the row, and the same masked name."""
    told = search("--person", DANA).stdout
    assert "d•••@northgate.example" in told
    assert "198.51.100.7" in told
    assert DANA not in told
    assert 'reason="wrong"' in told
    row = json.loads(search("--event", "password.wrong", "--json").stdout)
    assert (row["person"], row["fields"]) == ("d•••@northgate.example", {"reason": "wrong"})
    assert {"user_agent", "policy_hash", "session_id"} <= row.keys()
    assert "priya" not in search("--account", "harborview").stdout


UNFOUND: list[tuple[list[str], int, str]] = [
    (["--event", "code.x"], 2, "there are code.requested, "),
    (["--event", "x"], 2, "no event is called 'x'"),
    (["--since", "yesterday"], 2, "is neither an instant such as"),
    (["--since", "999999d"], 2, "is neither an instant such as"),
    (["--until", "0001-01-01T00:00+14:00"], 2, "is neither an instant such as"),
    (["--client", "a\udc80"], 2, "cannot be printed"),
    (["--person", "x\x00@y.example"], 2, "cannot be printed"),
    (["--person", "nobody@northgate.example"], 1, "Nobody has this address now."),
    (["--account", "none"], 1, "There is no account 'none'."),
    (["--event", "key.*"], 1, "No event fits."),
    (["-n", "0"], 2, "-n"),
]


def test_what_cannot_be_found_is_said_in_one_sentence(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """1: there is nothing; 2: it was asked wrongly. Never a stack trace."""
    monkeypatch.setenv("AUTHSVC_DATABASE_URL", database_url)
    monkeypatch.setenv("AUTHSVC_SECRET", SECRET)
    for arguments, status, said in UNFOUND:
        result = search(*arguments)
        assert (result.exit_code, said in result.stderr) == (status, True), (arguments, result.stderr)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_tail_goes_on_with_what_happens(trail: Service) -> None:
    """`-f`: the newest, then each event once as it comes, until it is ended."""
    ran = running(
        [*AUTHSVC, "audit", "tail", "-n", "2", "-f", "--json"],
        {**os.environ, "AUTHSVC_LOG_LEVEL": "error"},
        ready=lambda: True,
        deadline_s=90,
    )
    with ran as process:

        def told() -> list[str]:
            return [json.loads(line)["name"] for line in process.output().splitlines()]

        poll(lambda: len(told()) == 2, 90, what="the newest two")
        trail.sign_in(trail.person(), OTHER)
        trail.sign_in(trail.person(), OTHER, password="wrong")
        poll(lambda: len(told()) >= 4, 60, what="what happened since")
        assert told() == ["session.started", "client.authentication_failed", "session.started", "password.wrong"]
