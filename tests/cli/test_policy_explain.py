"""`authsvc policy explain`: what a sign-in would require, and which rule says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from authsvc.cli import main
from tests.support.service import DANA, PASSWORD, Service

INES = "ines@investor.example"


@pytest.fixture(autouse=True)
def same_database(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command works on the service's database, in a folder of its own, quietly."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTHSVC_LOG_LEVEL", "error")
    monkeypatch.setenv("AUTHSVC_DATABASE_URL", str(service.services.settings.database_url))


def explain(*more: str, email: str = DANA, account: str = "northgate") -> Result:
    """The command."""
    return CliRunner().invoke(main, ["policy", "explain", "--account", account, "--user", email, *more])


def asked(*more: str, email: str = DANA) -> dict[str, Any]:
    """Its one answer for machines, with the reasons by their rule."""
    result = explain("--json", *more, email=email)
    assert result.exit_code == 0, result.output
    (answer,) = json.loads(result.stdout)["sign_ins"]
    return answer | {"by": {r["rule"]: (r["answer"], r["decided_by"]) for r in answer["reasons"]}}


def test_switched_off_the_account_decides(service: Service) -> None:
    """Password alone; why, in a line each."""
    service.member(service.account())
    answer = asked()
    assert (answer["code_required"], answer["may_sign_in"]) == (False, True)
    assert answer["by"]["code"] == ("not required", "the account's switch, off")
    result = explain()
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{DANA} enters Northgate Capital Partners (team):\n")
    assert "not required  <- the account's switch, off" in result.stdout


def test_switched_on_it_names_who_opened_and_who_closed_each_method(service: Service) -> None:
    """The account's choice within the policy's."""
    service.member(service.account(mfa="email", remember=False))
    answer = asked()
    assert (answer["code_required"], answer["methods"]) == (True, ["email"])
    assert answer["by"]["method email"] == ("open", "the account's switch")
    assert answer["by"]["method sms"] == ("closed", "the account's switch")
    assert answer["by"]["remembered device"] == ("may not stand in for the code", "the account's switch")
    assert answer["by"]["Remember Me"] == ("is not offered", "the account's switch")


def test_it_says_what_a_sign_in_then_does(service: Service) -> None:
    """The same rules: what it promises is what the pages ask."""
    service.member(service.account(mfa="email+sms"))
    assert asked()["methods"] == ["sms", "email"]
    person = service.person()
    service.sign_in(person, password=PASSWORD)
    assert person.here.h1 == "Choose how to get your code"


def test_d4_the_fallback_is_named(service: Service) -> None:
    """SMS alone, and a number that gets no texts."""
    service.member(service.account(mfa="sms"), phone="+16135550142")
    answer = asked()
    assert answer["methods"] == ["email"]
    assert answer["by"]["method email"][0] == "open, as the fallback"
    assert "phone.regions" in answer["by"]["method sms"][1]


def test_a_request_for_more_is_named_with_its_client(service: Service) -> None:
    """Step-up: the code is asked although the account's switch is off, and no device stands in."""
    service.member(service.account())
    service.client()
    answer = asked("--client", "ims-portal", "--acr", "two-step")
    assert answer["code_required"]
    assert not answer["remembered_device_may_stand_in"]
    by = "acr_values of the client ims-portal: urn:ims:acr:two-step"
    assert answer["by"]["code"] == ("required", by)
    assert answer["by"]["remembered device"] == ("may not stand in for the code", by)
    assert answer["by"]["what is asked"] == ("can be met", by)


def test_a_minimum_of_the_client_decides_and_no_parameter_lowers_it(service: Service) -> None:
    """claims.md: "A parameter can never lower a client's minimum." What it says is what the sign-in then asks."""
    service.member(service.account())
    service.client("vault", minimum_acr="urn:ims:acr:two-step")
    by = "the client vault, minimum_acr urn:ims:acr:two-step"
    for asking in ((), ("--acr", "password"), ("--acr", "remembered"), ("--acr", "two-step"), ("--acr", "two-factor")):
        answer = asked("--client", "vault", *asking)
        assert (answer["code_required"], answer["remembered_device_may_stand_in"]) == (True, False), asking
        assert answer["by"]["client's minimum"] == ("can be met", by)
        if asking != ("--acr", "two-factor"):
            assert answer["by"]["code"] == ("required", by), asking
            assert answer["by"]["remembered device"] == ("may not stand in for the code", by), asking
    assert asked("--client", "vault", "--acr", "two-factor")["by"]["code"][1].startswith(
        "acr_values of the client vault"
    )


def test_a_minimum_that_cannot_be_met_keeps_them_out(service: Service) -> None:
    """claims.md: it "ends in unmet_authentication_requirements"; a wish beside it changes nothing. Exit status 1."""
    service.member(service.account(mfa="email+sms"), phone=None)
    service.client("vault", minimum_acr="urn:ims:acr:two-factor")
    result = explain("--client", "vault", "--acr", "two-step")
    assert result.exit_code == 1
    assert "cannot be met by this person: refused  <- the client vault, minimum_acr" in result.stdout


def test_two_factor_without_a_phone_cannot_be_met(service: Service) -> None:
    """Email never is a second factor (claims.md)."""
    service.member(service.account(mfa="email+sms"), phone=None)
    assert asked("--acr", "urn:ims:acr:two-factor")["by"]["what is asked"][0].startswith("cannot be met")


def test_d17_an_unverified_address_is_said(service: Service) -> None:
    """Skip For Now is there until a code is required."""
    service.member(service.account(mfa="email"), verified=False)
    service.member(service.account("second"), "sam@second.example", verified=False)
    assert asked()["by"]["email"][0] == "must be verified first, without Skip For Now"
    result = explain(email="sam@second.example", account="second")
    assert "Skip For Now is offered" in result.stdout


def test_d33_somebody_who_is_both_gets_both(service: Service) -> None:
    """One for each audience, or the one that is named."""
    account = service.account(investors="email")
    member = service.member(account)
    with service.services.database.transaction(read_only=True) as tx:
        from authsvc.accounts.models import User

        user = tx.get_one(User, member.user_id)
    service.member(account, audience="investors", user=user)
    answers = json.loads(explain("--json").stdout)["sign_ins"]
    assert {answer["audience"]: answer["code_required"] for answer in answers} == {"team": False, "investors": True}
    assert asked("--audience", "investors")["code_required"]


def test_who_cannot_enter_is_exit_status_1(service: Service) -> None:
    """And the reason stands there."""
    service.member(service.account(), active=False)
    result = explain()
    assert result.exit_code == 1
    assert "refused  <- the membership is inactive" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"account": "nowhere"}, "There is no account 'nowhere'."),
        ({"account": "\x07"}, "There is no account '\\x07'."),
        ({"email": "nobody@northgate.example"}, "Nobody has the email address 'nobody@northgate.example'."),
        ({"email": "olga@elsewhere.example"}, "olga@elsewhere.example is not a member of northgate."),
    ],
)
def test_what_is_not_there_is_one_sentence(service: Service, arguments: dict[str, str], said: str) -> None:
    """On stderr, exit 1."""
    service.member(service.account())
    service.member(service.account("elsewhere"), "olga@elsewhere.example")
    result = explain(**arguments)
    assert (result.exit_code, result.stderr) == (1, said + "\n")


def test_an_unknown_client_and_an_unknown_level(service: Service) -> None:
    """One sentence; a level that is none is a usage error."""
    service.member(service.account())
    result = explain("--client", "nobody")
    assert (result.exit_code, result.stderr) == (1, "There is no client 'nobody'.\n")
    assert explain("--acr", "gold").exit_code == 2


def test_nothing_is_signed_in_or_written(service: Service) -> None:
    """It looks, and leaves no trace in the trail."""
    service.member(service.account(mfa="email"))
    before = service.everything_stored()
    explain()
    assert service.everything_stored() == before
