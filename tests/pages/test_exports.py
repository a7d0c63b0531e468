"""My Profile > Exports: what a person asks for, sees, and downloads (ux.md S19, domain X1 to X4, D22, D24, D25)."""

from __future__ import annotations

import csv
import io

from authsvc.exports.models import Export, Reason
from tests.support.databases import ON_SQLITE
from tests.support.export_pages import (
    EXPORTS,
    NEW,
    announced,
    ask,
    file_of,
    hand_over,
    holder,
    is_in_the_store,
    newest,
    prove,
    rows,
    sweep,
)
from tests.support.profile import press, stored, subjects
from tests.support.service import DANA, Service
from tests.support.team import PRIYA

#: Words and addresses, which know nothing of the database.


def sheet(body: bytes) -> list[list[str]]:
    """The lines of a CSV file as a spreadsheet reads them."""
    assert body.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline="")))


def test_x1_x3_an_export_is_asked_for_processing_and_then_downloaded(service: Service) -> None:
    """Tracked and downloaded in the app: "Processing" until it is finished, then the file; never by email (X1, X3)."""
    account, _, dana = holder(service)
    service.member(account, PRIYA, phone="+15125550199")
    assert "Export" in dana.open("/admin/team").links
    page = ask(dana)
    assert page.path == f"{EXPORTS}?done=requested"
    assert "Team Members" in page.text
    assert "Processing" in page.text
    assert "We’ll notify you" in page.text
    assert dana.open(file_of(newest(service))).h1 == "My Profile", "there is no file yet: the list says so"
    mailed = subjects(service, DANA)
    assert mailed == ["An export you asked for is ready"]
    mail = service.emails.to(DANA)[-1]
    assert "Sign in to the portal to download it." in mail.text
    assert "http" not in mail.text + mail.html
    assert "Team Members" not in mail.text
    page = dana.open(EXPORTS)
    assert "ReadyUntil Nov 29, 2026" in page.text
    body = dana.open(page.links["Download"]).response
    heading, *lines = sheet(body.data)
    assert heading[:4] == ["Name", "Email", "Email verified", "Phone"]
    assert heading[-1] == "Inactive since (America/New_York)"
    assert {line[1] for line in lines} == {DANA, PRIYA}
    assert {line[3] for line in lines} == {"", "'+15125550199"}, "what begins like a formula is text"
    assert int(body.headers["Content-Length"]) == len(body.data)
    assert "Download again" in dana.open(EXPORTS).links
    names = [event.name for event in service.events() if event.name.startswith("export.")]
    assert names == ["export.requested", "export.started", "export.ready", "export.downloaded"]
    assert all(set(e.fields) <= {"export_id", "name", "size"} for e in service.events() if e.name.startswith("export."))
    activity = dana.open("/admin/activity", kind="exports").text
    for said in ("Export asked for: Team Members", "Export ready: Team Members", "Export downloaded: Team Members"):
        assert said in activity


def test_x2_tn08_to_everybody_else_there_is_none(service: Service) -> None:
    """Only the person's own, and nobody else has access: 404 for an admin, for oneself in another account, for a guess."""
    account, membership, dana = holder(service)
    export = hand_over(service, membership)
    service.member(account, PRIYA, role="admin", sensitive=True, phone=None)
    _, _, other = holder(service, slug="westgate", email="kim@westgate.example")
    priya = service.person()
    service.sign_in(priya, PRIYA)
    lakeview = service.account("lakeview")
    service.member(lakeview, user=stored(service), role="admin", sensitive=True)
    there = service.person()
    service.sign_in(there, DANA, account="lakeview")
    for stranger in (priya, other, there):
        assert stranger.open(file_of(export)).status == 404
        assert stranger.post(f"{EXPORTS}/{export.id}/again", {}).status_code in (400, 404)
        assert "Investor contacts" not in stranger.open(EXPORTS).text
    for guess in ("0" * 32, "..%2f..%2fetc", "x%00y", export.file_id or "", "a" * 10_000):
        assert dana.open(f"{EXPORTS}/{guess}/file").status == 404, guess
    assert sum(event.fields["what"] == "export" for event in service.events("access.refused")) >= 3
    assert rows(service)[0].downloaded_at is None
    assert dana.open(file_of(export)).response.data.startswith(b"\xef\xbb\xbfName,Tax ID")


@ON_SQLITE
def test_x4_the_list_stays_fresh_and_is_no_sign_of_life(service: Service) -> None:
    """The script fetches the rows alone; doing so keeps nobody signed in (domain D20)."""
    _, membership, dana = holder(service)
    hand_over(service, membership)
    export = announced(service, membership, "Investor bank details")
    page = dana.open(f"{EXPORTS}/rows?page=1")
    assert page.text.startswith("Your exports, newest first")
    assert "data-live" in page.response.text
    assert f'data-row="{export.id}" data-status="processing"' in page.response.text
    for _ in range(3):
        service.pass_time(minutes=11)
        dana.open(f"{EXPORTS}/rows")
    assert dana.open(EXPORTS).h1 == "Sign in"


def test_d22_ready_for_seven_days_then_expired_with_its_row(service: Service) -> None:
    """ "File kept 7 days, then purged, row stays as expired"; and a click says when."""
    _, membership, dana = holder(service)
    export = hand_over(service, membership)
    assert is_in_the_store(service, export)
    service.pass_time(days=7, seconds=1)
    service.sign_in(dana)
    assert dana.open(file_of(export)).path == f"{EXPORTS}?gone={export.id}"
    assert "That file expired on Nov 29." in dana.here.text
    assert "ExpiredFile deleted Nov 29" in dana.here.text
    assert f'id="get-{export.id}"' not in dana.here.response.text, (
        "the bell still tells of it; its link says that it expired"
    )
    sweep(service)
    assert not is_in_the_store(service, export)
    now = newest(service)
    assert (now.status, now.reason, now.file_id, now.sealed_key) == ("expired", "time_over", None, "")
    assert "All investors, CSV" in dana.open(EXPORTS).text
    service.pass_time(days=394)
    sweep(service)
    assert rows(service) == []


def test_d22_failures_are_told_and_can_be_repeated(service: Service) -> None:
    """A client's: "Start again in portal". One of ours: "Try again", which is the same row once more."""
    _, membership, dana = holder(service)
    announced(service, membership)
    service.pass_time(minutes=31)
    service.sign_in(dana)
    assert "Taking longer than usual. You don’t need to wait here." in dana.open(EXPORTS).text
    service.pass_time(hours=24)
    sweep(service)
    service.sign_in(dana)
    page = dana.open(EXPORTS)
    assert "FailedNothing was exported" in page.text
    assert page.links["Start again in portal"] == "https://portal.ims.test"
    assert subjects(service, DANA) == ["An export you asked for failed"]
    ask(dana)
    export = newest(service)
    with service.services.database.transaction() as tx:
        service.services.exports.life.fail(tx, tx.get_one(Export, export.id), Reason.COULD_NOT_BUILD)
    assert "Try again" in dana.open(EXPORTS).text
    press(dana, "/again")
    assert "Processing" in dana.here.text
    service.deliver()
    assert [one.status for one in rows(service)] == ["failed", "ready"]
    assert dana.open(file_of(newest(service))).response.mimetype == "text/csv"


@ON_SQLITE
def test_d24_a_notice_clicked_while_signed_out_leads_through_the_code_to_the_download(service: Service) -> None:
    """Sign in, with a code when required, then on to the download, which begins from the list."""
    _, membership, _ = holder(service, mfa="email")
    export = hand_over(service, membership)
    person = service.person()
    page = person.open(file_of(export))
    assert page.h1 == "Sign in"
    person.submit(email=DANA, password="quiet harbor maple lantern")
    page = person.submit(code=service.code_for(DANA))
    assert page.path == f"{EXPORTS}?start={export.id}"
    assert "Your download is starting." in page.text
    assert f'<meta http-equiv="refresh" content="0;url={file_of(export)}">' in page.response.text
    assert person.open(file_of(export)).response.headers["Content-Disposition"].startswith("attachment;")


@ON_SQLITE
def test_d25_asking_and_downloading_need_a_code_of_the_last_quarter_of_an_hour(service: Service) -> None:
    """With Multi-Factor Authentication on: "acr two-step within 15 min", for the question, the press, and the file."""
    _, membership, dana = holder(service, mfa="email")
    export = hand_over(service, membership)
    dana.open(NEW, export="sign_in_activity", person=membership.user_id)
    service.pass_time(minutes=16)
    assert press(dana, NEW).h1 == "Confirm it’s you", "the question had been opened in time, the press was not"
    prove(service, dana)
    assert dana.here.h1 == "Export Sign-in activity?", "and nothing that was chosen is lost"
    assert "Dana, as a CSV file" in dana.here.text
    assert press(dana, NEW).path.startswith(EXPORTS)
    service.pass_time(minutes=16)
    assert dana.open(EXPORTS).h1 == "My Profile", "looking needs none"
    assert dana.open(file_of(export)).h1 == "Confirm it’s you"
    assert "download an export" in dana.here.text
    dana.submit(password="quiet harbor maple lantern")
    assert dana.open(file_of(export)).h1 != "", "the password alone is not enough"
    assert dana.here.response.mimetype == "text/html"
    prove(service, dana)
    assert dana.here.path == f"{EXPORTS}?start={export.id}"
    assert dana.open(file_of(export)).response.mimetype == "text/csv"


@ON_SQLITE
def test_who_may_not_export_sees_no_button_and_is_refused(service: Service) -> None:
    """Sensitive Data Access for every export, and an admin's role for what this service builds."""
    account = service.account()
    service.member(account, DANA, role="admin", phone=None)
    service.member(account, PRIYA, role="member", sensitive=True, phone=None)
    dana, priya = service.person(), service.person()
    service.sign_in(dana)
    service.sign_in(priya, PRIYA)
    for page in ("/admin/team", "/admin/activity", "/admin/settings"):
        assert "Export" not in dana.open(page).links
    assert "Exports of Sensitive Information need Data Access. Ask an account admin" in dana.open(EXPORTS).text
    assert dana.open(NEW, export="team_members").status == 403
    assert priya.open(NEW, export="team_members").status == 403
    assert "No exports yet" in priya.open(EXPORTS).text
    for wrong in ("handed_over", "", "team_members\0", "x" * 10_000):
        assert priya.open(NEW, export=wrong).status == 404
    assert rows(service) == []


def test_the_filters_of_the_page_are_those_of_the_file(service: Service) -> None:
    """Sign-in activity with its present filters, in words on the list; every way of asking gives a file."""
    account, membership, dana = holder(service)
    service.member(account, PRIYA, phone=None)
    service.sign_in(service.person(), PRIYA)
    link = dana.open("/admin/activity", person=membership.user_id, kind="sign-in", **{"from": "2026-11-01"}).links[
        "Export"
    ]
    dana.open(link)
    press(dana, NEW)
    for kind in ("mfa_status", "devices_and_sessions", "sign_in_activity"):
        ask(dana, kind)
        service.pass_time(seconds=11)
    service.deliver()
    assert "Dana, Sign-ins, from 2026-11-01, CSV" in dana.open(EXPORTS).text
    files = {}
    for one in rows(service):
        files[one.scope, one.name] = sheet(dana.open(file_of(one)).response.data)
    filtered = files["Dana, Sign-ins, from 2026-11-01", "Sign-in activity"]
    assert filtered[0] == ["When (America/New_York)", "Team Member", "What happened", "Browser", "Address"]
    assert [line[1:4] for line in filtered[1:]] == [["Dana", "Signed in with a password", "Chrome on macOS"]]
    everything = files["Everyone, everything", "Sign-in activity"]
    assert {"Dana", "Priya"} <= {line[1] for line in everything}
    status = files["All Team Members", "Multi-Factor Authentication status"]
    assert {line[0]: line[3:6] for line in status[1:]} == {"Dana": ["No", "Yes", "No"], "Priya": ["No", "Yes", "No"]}
    sessions = files["All Team Members", "Remembered devices and sessions"]
    assert sorted(line[:2] for line in sessions[1:]) == [["Session", "Dana"], ["Session", "Priya"]]


@ON_SQLITE
def test_twenty_five_a_page(service: Service) -> None:
    """Newest first, 25 a page; whatever the address says."""
    _, membership, dana = holder(service)
    about = {"account_id": membership.account_id, "user_id": membership.user_id, "membership_id": membership.id}
    with service.services.database.transaction() as tx:
        for number in range(30):
            tx.add(
                Export(
                    **about,
                    id=f"{number:032d}",
                    kind="team_members",
                    name=f"Number {number:02d}",
                    media_type="text/csv",
                    status="failed",
                    requested_at=service.clock.now(),
                )
            )
    for page, shown in (("1", 25), ("2", 5), ("3", 0), ("x", 25), ("-1", 25), ("9" * 30, 0)):
        assert dana.open(EXPORTS, page=page).text.count("Number ") == shown, page
