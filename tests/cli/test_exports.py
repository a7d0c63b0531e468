"""`authsvc exports`, as support uses it (domain D23)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from authsvc.cli import main
from tests.support.export_pages import announced, hand_over, is_in_the_store, rows
from tests.support.service import DANA, SECRET, Service


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_support_lists_and_deletes_and_never_sees(
    service: Service, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where each stands, as sentences and as JSON; one, a person's, all that are over: files go, rows stay."""
    monkeypatch.chdir(tmp_path)
    settings = {"DATABASE_URL": database_url, "LOG_LEVEL": "error", "SECRET": SECRET}
    settings["EXPORTS_URL"] = service.services.settings.exports_url
    for name, value in settings.items():
        monkeypatch.setenv(f"AUTHSVC_{name}", value)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["exports", *arguments])

    membership = service.member(service.account(), sensitive=True, phone=None)
    assert run("list").stdout == "There are none.\n"
    one = hand_over(service, membership, "Bank details")
    two = hand_over(service, membership, "Tax IDs")
    announced(service, membership, "On its way")
    listed = [json.loads(line) for line in run("list", "--account", "northgate", "--json").stdout.splitlines()]
    assert {(each["name"], each["status"], each["person"]) for each in listed} == {
        ("Bank details", "ready", DANA),
        ("Tax IDs", "ready", DANA),
        ("On its way", "processing", DANA),
    }
    assert not {"sealed_key", "sha256", "file_id"} & set(listed[0])
    assert run("list", "--account", "x\0y").stdout == run("list", "--email", "x\0y").stdout == "There are none.\n"
    assert "Bank details" in run("list").stdout
    assert run("purge", one.id).stdout == "Deleted the file of 1 export.\n"
    assert not is_in_the_store(service, one)
    assert is_in_the_store(service, two)
    gone = run("purge", "--email", DANA, "--json")
    assert len(json.loads(gone.stdout)["exports"]) == 2
    assert not is_in_the_store(service, two)
    assert run("purge", "--expired").stdout == "Deleted the files of 0 exports.\n"
    assert {(each.status, each.reason) for each in rows(service)} == {("expired", "purged"), ("failed", "purged")}
    for wrong, status in ((("purge",), 2), (("purge", "x\0"), 1), (("purge", "--email", "x@y.example"), 1)):
        result = run(*wrong)
        assert (result.exit_code, result.stdout) == (status, "")
    assert {event.operator != "" for event in service.events("export.file_deleted")} == {True}
