"""Addresses that mail came back from: nothing is mailed to them, the page says so, an operator lifts it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from authsvc.accounts.bounces import Report, read
from authsvc.cli import main
from tests.support.service import DANA, SECRET, Service


def suppress(service: Service, address: str, *, reason: Any = "bounce") -> bool:
    """What the queue leads to."""
    with service.services.database.transaction() as tx:
        return service.services.suppressions.add(tx, address, reason=reason, kind="General")


def test_a_code_to_a_suppressed_address_is_not_sent_and_the_page_says_so(service: Service) -> None:
    """Success is never claimed (security.md 4.4): refused as undeliverable, another way offered; lifted, it is sent again."""
    service.member(service.account(mfa="email+sms"))
    assert suppress(service, DANA.upper())
    dana = service.person()
    service.sign_in(dana)
    dana.submit(method="email")
    service.deliver()
    dana.open(dana.here.path)
    assert service.emails.messages == []
    assert "Our email came back." in dana.here.text
    assert dana.here.has_button("Get it by text message")
    [refused] = service.events("code.not_delivered")
    assert DANA not in json.dumps(refused.fields)
    assert "after a bounce" in refused.fields["reason"]

    with service.services.database.transaction() as tx:
        assert service.services.suppressions.lift(tx, DANA)
    service.pass_time(minutes=1)
    dana.submit(button="resend")
    service.deliver()
    assert len(service.emails.to(DANA)) == 1


def test_notices_and_links_to_a_suppressed_address_are_dropped(service: Service) -> None:
    """Nothing is retried, and the page of a forgotten password says what it says to everybody (LG-02)."""
    service.member(service.account())
    suppress(service, DANA, reason="complaint")
    stranger = service.person()
    stranger.open("/forgot")
    stranger.submit(email=DANA)
    assert service.deliver() == 1
    assert service.deliver() == 0
    assert service.emails.messages == []
    assert [row.fields["purpose"] for row in service.events("link.not_delivered")] == ["reset"]


def test_an_address_is_suppressed_once_and_another_address_of_the_person_is_not_concerned(service: Service) -> None:
    """Two bounces at the same moment are one entry and one row of the trail; the list goes by address, not by person."""
    member = service.member(service.account())
    assert sorted(service.at_once(*[lambda: suppress(service, DANA)] * 2)) == [False, True]
    [row] = service.events("address.suppressed")
    assert (row.user_id, row.fields) == (member.user_id, {"reason": "bounce", "kind": "General"})
    courier = service.services.courier
    assert courier.suppressed(DANA) is not None
    assert courier.suppressed("dana@harborview.example") is None


def test_an_operator_lists_and_lifts(
    service: Service, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`authsvc suppression`: named while somebody has the address; who lifted it is in the trail."""
    monkeypatch.chdir(tmp_path)
    for name, value in (("DATABASE_URL", database_url), ("LOG_LEVEL", "error"), ("SECRET", SECRET)):
        monkeypatch.setenv(f"AUTHSVC_{name}", value)
    service.member(service.account())
    suppress(service, DANA)
    suppress(service, "nobody@gone.example", reason="complaint")

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(main, ["suppression", *arguments])

    listed = run("list").stdout
    assert DANA in listed
    assert "an address that nobody has now" in listed
    assert "gone.example" not in listed
    assert {json.loads(line)["address"] for line in run("list", "--json").stdout.splitlines()} == {DANA, None}
    assert run("lift", DANA).stdout == "Lifted: it gets mail again.\n"
    again = run("lift", "\x00\ud800" * 2000)
    assert (again.exit_code, again.stderr) == (1, "This address is not suppressed.\n")
    assert service.services.courier.suppressed(DANA) is None
    assert [row.operator != "" for row in service.events("address.suppression_lifted")] == [True]


BOUNCE = {
    "notificationType": "Bounce",
    "bounce": {
        "bounceType": "Permanent",
        "bounceSubType": "General",
        "bouncedRecipients": [{"emailAddress": DANA, "status": "5.1.1"}],
    },
}
COMPLAINT = {
    "eventType": "Complaint",
    "complaint": {"complaintFeedbackType": "abuse", "complainedRecipients": [{"emailAddress": DANA}]},
}


@pytest.mark.parametrize(
    ("told", "reports"),
    [
        (BOUNCE, [Report(DANA, "bounce", "General")]),
        ({"Type": "Notification", "Message": json.dumps(BOUNCE)}, [Report(DANA, "bounce", "General")]),
        (COMPLAINT, [Report(DANA, "complaint", "abuse")]),
        ({"eventType": "Delivery", "delivery": {}}, []),
        (BOUNCE | {"bounce": {**BOUNCE["bounce"], "bounceType": "Transient"}}, []),  # type: ignore[dict-item]
        (
            BOUNCE | {"bounce": {**BOUNCE["bounce"], "bouncedRecipients": [{"emailAddress": "Dana <a@x.example>, b"}]}},  # type: ignore[dict-item]
            [],
        ),
    ],
)
def test_what_ses_says_of_a_mail_is_read(told: dict[str, Any], reports: list[Report]) -> None:
    """Straight or by way of an SNS topic; a full mailbox is no reason, for it empties; nor is what is no address."""
    assert list(read(json.dumps(told))) == reports


@pytest.mark.parametrize("body", ["", "[]", "null", "7", '"x"', "{}", '{"Message": 7}', '{"eventType": "Bounce"}'])
def test_what_is_no_such_message_is_an_error_that_the_queue_expects(body: str) -> None:
    """It is logged and dropped, and the worker goes on."""
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        list(read(body))
