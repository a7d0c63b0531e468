"""Admin Settings > Details > Multi-Factor Authentication (ux.md S20; domain M1-M16, D1, D3, D4, D7, D9-D11)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from authsvc.accounts.models import Membership, User
from tests.support.mfa_settings import SETTINGS, admin, choose, send, signed_in, switch
from tests.support.service import DANA, PASSWORD, Service

STILL_OFF = "Multi-Factor Authentication is still off"


def test_m1_it_is_off_at_first_with_email_chosen(service: Service) -> None:
    """M1, D3: off by default, Email comes preselected."""
    page = admin(service, service.account()).open(SETTINGS)
    assert (page.status, page.title, page.h1) == (200, "Admin Settings – Northgate Capital Partners", "Admin Settings")
    form = next(form for form in page.forms if "mfa" in form.boxes)
    assert form.fields.get("methods") == "email"
    assert "mfa" not in form.fields
    assert "Multi-Factor Authentication is off." in page.text


def test_m4_it_stands_on_the_tab_details_with_the_account(service: Service) -> None:
    """M4, A4: Admin Settings opens on Details; Save at the bottom."""
    page = admin(service, service.account()).open(SETTINGS)
    assert [label for label in page.links if label in ("Details", "Team Members", "Sign-in activity")] == [
        "Details",
        "Team Members",
        "Sign-in activity",
    ]
    for said in ("Account name", "Northgate Capital Partners", "portal.ims.test", "Eastern Time (EST)", "Save"):
        assert said in page.text


def test_m2_m5_m16_turning_it_on_asks_everyone_at_their_next_sign_in(service: Service) -> None:
    """M16: from the next sign-in after saving; who is signed in goes on (D9)."""
    account = service.account()
    person = admin(service, account)
    service.member(account, "priya@northgate.example")
    priya = service.person()
    service.sign_in(priya, "priya@northgate.example")
    page = choose(person, on=True, methods="email+sms")
    assert "Saved. Team Members will be asked for a code at their next sign-in." in page.text
    assert page.links["See who can receive codes"] == "/admin/team"
    assert "Last changed by Dana on Nov 22, 2026," in page.text
    assert switch(service, account).methods == ["email", "sms"]
    assert priya.open("/sign-out").h1 == "Sign out?"
    again = service.person()
    service.sign_in(again, "priya@northgate.example")
    assert again.here.h1 == "Choose how to get your code"


def test_m6_sms_alone_is_allowed_for_the_team(service: Service) -> None:
    """M5, M11: Email, SMS or both; nobody is locked out by it (D4)."""
    account = service.account()
    person = admin(service, account)
    assert "people without a US number get their code by email instead" in person.open(SETTINGS).text
    send(person, on=True, methods="sms")
    assert switch(service, account).methods == ["sms"]


def test_d1_an_unverified_member_blocks_it_and_is_named(service: Service) -> None:
    """M15, A8: refused with 422, who is missing, nothing half-saved."""
    account = service.account()
    person = admin(service, account)
    service.member(account, "priya@northgate.example", verified=False)
    service.member(account, "theo@northgate.example", verified=False)
    page = person.open(SETTINGS)
    assert (
        "2 Team Members must verify their email before you can turn this on. That way nobody is locked out."
        in page.text
    )
    assert "1 of 3 Team Members have a verified email." in page.text
    page = send(person, on=True, methods="email+sms", remember=False)
    assert page.status == 422
    assert page.title == "Error: Admin Settings – Northgate Capital Partners"
    assert f"{STILL_OFF} 2 Team Members haven’t verified their email: Priya, Theo." in page.text
    stored = switch(service, account)
    assert (stored.enabled, stored.methods, stored.remember_device, stored.revision) == (False, ["email"], True, 1)
    form = next(form for form in page.forms if "mfa" in form.boxes)
    assert "mfa" in form.fields, "what was chosen stands there still"


@pytest.mark.parametrize("state", [{"accepted": False}, {"active": False}])
def test_d1_invited_and_inactive_people_do_not_block(service: Service, state: dict[str, bool]) -> None:
    """D1: they verify at their first sign-in, without skip."""
    account = service.account()
    person = admin(service, account)
    service.member(account, "priya@northgate.example", verified=False, **state)
    service.member(service.account("elsewhere"), "theo@northgate.example", verified=False)
    service.member(account, "ines@investor.example", verified=False, audience="investors")
    assert "Saved." in choose(person, on=True).text


def test_d1_more_than_ten_are_counted_and_linked(service: Service) -> None:
    """ux.md S20: the first 10, and "See all 12"."""
    account = service.account()
    person = admin(service, account)
    for number in range(12):
        service.member(account, f"p{number:02}@northgate.example", verified=False, phone=None, password=None)
    page = person.open(SETTINGS)
    assert page.links["See all 12"] == "/admin/team?verified=no"
    assert page.text.count("Send reminder") == 10
    assert "Email all 12 a verification link" in page.text
    assert "P00, P01, P02, P03, P04, P05, P06, P07, P08, P09 and 2 more." in send(person, on=True).text


def test_d4_the_pre_flight_says_what_sms_does_to_whom(service: Service) -> None:
    """Who is asked for a number, and whose number the region rule rejects (D1, D4, D29)."""
    account = service.account()
    person = admin(service, account)
    service.member(account, "priya@northgate.example", phone=None)
    service.member(account, "theo@northgate.example", phone=None)
    service.member(account, "carla@northgate.example", phone="+16135550142")  # Ottawa: "+1" is not "US"
    text = person.open(SETTINGS).text
    assert "US numbers only. 2 people without a verified number will be asked for one at their next sign-in." in text
    assert "1 person has a number we can’t text." in text
    assert "Without a verified numberPriya" in text
    assert "With a number we can’t textCarla" in text
    assert "All 4 Team Members have a verified email." in text


def test_d3_on_without_a_method_is_refused_at_the_field(service: Service) -> None:
    """D3."""
    account = service.account()
    page = choose(admin(service, account), on=True, methods="")
    assert page.status == 422
    assert page.text.count("Choose Email, SMS, Authenticator app or several") == 2
    assert not switch(service, account).enabled


@pytest.mark.parametrize("methods", ["totp+voice", "sms+none", "email\0", "\ud800", "x" * 10_000])
def test_mf12_a_method_beyond_the_policy_is_refused(service: Service, methods: str) -> None:
    """A forged method is stored nowhere and breaks nothing."""
    account = service.account()
    person = admin(service, account)
    if methods == "\ud800":
        form = next(form for form in person.open(SETTINGS).forms if "revision" in form.fields)
        body = f"csrf_token={form.fields['csrf_token']}&revision=1&mfa=1&methods=%ed%a0%80"
        answer = person.client.post(
            SETTINGS, base_url=person.issuer, data=body, content_type="application/x-www-form-urlencoded"
        )
        assert answer.status_code == 422
    else:
        assert choose(person, on=True, methods=methods).status == 422
    assert switch(service, account).revision == 1


@pytest.mark.parametrize("revision", ["", "-1", "1e3", "٣", "9" * 400, "1\0"])
def test_a_revision_that_is_none_is_a_conflict_and_no_error(service: Service, revision: str) -> None:
    """Whatever is sent: nothing is saved over what the form did not show."""
    account = service.account()
    person = admin(service, account)
    token = person.open(SETTINGS).forms[0].fields["csrf_token"]
    answer = person.post(SETTINGS, {"csrf_token": token, "mfa": "1", "methods": "email", "revision": revision})
    assert answer.status_code == 409
    assert not switch(service, account).enabled


def test_m3_d11_without_sensitive_data_access_it_is_read_only_and_refused_all_the_same(service: Service) -> None:
    """A2, D11: the state, the reason, whom to ask; a forged POST gets 403."""
    account = service.account(mfa="email+sms")
    service.member(account, role="admin", sensitive=False)
    person = signed_in(service)
    page = person.open(SETTINGS)
    assert "On, by Email and SMS" in page.text
    assert (
        "Only Team Members with Sensitive Information access can change this. To get it, email support@imscre.com."
        in page.text
    )
    assert "Save" not in page.text
    token = person.open("/sign-out").forms[0].fields["csrf_token"]
    for path in ("", "/turn-off", "/remind", "/sign-everyone-out"):
        answer = person.post(SETTINGS + path, {"csrf_token": token, "revision": "1", "remind": "all"})
        assert answer.status_code == 403, path
    for path in ("/turn-off", "/sign-everyone-out"):
        assert person.open(SETTINGS + path).status == 403
    assert switch(service, account).enabled


def test_d32_a_member_who_is_no_admin_sees_nothing(service: Service) -> None:
    """Sensitive Data Access alone does not open Admin Settings; an investor's session neither."""
    account = service.account()
    service.member(account, role="member", sensitive=True)
    page = signed_in(service).open(SETTINGS)
    assert (page.status, page.h1) == (403, "You don’t have access to this page")
    service.member(account, "ines@investor.example", audience="investors", role="admin", sensitive=True)
    investor = service.person()
    service.sign_in(investor, "ines@investor.example")
    assert investor.open(SETTINGS).status == 403


def test_d12_in_a_role_based_account_a_super_admin_is_whom_to_ask(service: Service) -> None:
    """D12, M17."""
    account = service.account(permission_model="role")
    service.member(account, role="admin", sensitive=False)
    assert "To get it, ask a Super Admin." in signed_in(service).open(SETTINGS).text


def test_d15_after_a_reset_by_mail_it_waits(service: Service) -> None:
    """Somebody with their mailbox has reset the password."""
    account = service.account()
    person = admin(service, account)
    with service.services.database.transaction() as tx:
        user = tx.scalars(select(User)).one()
        user.sensitive_acts_from = service.clock.now() + timedelta(hours=24)
    assert "acts that need Sensitive Data Access wait a day" in person.open(SETTINGS).text
    token = person.open("/sign-out").forms[0].fields["csrf_token"]
    assert person.post(SETTINGS, {"csrf_token": token, "mfa": "1", "methods": "email"}).status_code == 403


def test_tn05_access_taken_away_a_moment_ago_counts(service: Service) -> None:
    """The form was open; Sensitive Data Access is read in the transaction of the save."""
    account = service.account()
    person = admin(service, account)
    person.open(SETTINGS)
    with service.services.database.transaction() as tx:
        tx.scalars(select(Membership)).one().sensitive_data_access = False
    assert send(person, on=True).status == 403
    assert not switch(service, account).enabled


def test_d10_turning_off_is_asked_about_and_told_to_every_holder(service: Service) -> None:
    """D10: confirm page, mail to all who may change it, the trail."""
    account = service.account(mfa="email")
    person = admin(service, account)
    service.member(account, "marcus@northgate.example", sensitive=True)
    service.member(account, "theo@northgate.example")
    service.member(account, "gone@northgate.example", sensitive=True, active=False)
    page = choose(person, on=False)
    assert page.h1 == "Turn off Multi-Factor Authentication?"
    assert "3 Team Members will sign in with only a password." in page.text
    assert page.links["Keep it on"] == SETTINGS
    assert switch(service, account).enabled
    page = person.submit()
    assert "Saved. Team Members will sign in with only a password." in page.text
    assert not switch(service, account).enabled
    service.deliver()
    told = [message for message in service.emails.messages if message.purpose == "notice_mfa"]
    assert sorted(message.to for message in told) == [DANA, "marcus@northgate.example"]
    assert told[0].subject == "Multi-Factor Authentication was turned off for Northgate"
    assert "Dana turned off Multi-Factor Authentication for Team Members on Nov 22, 2026," in told[0].text
    (event,) = service.events("mfa.turned_off")
    assert event.fields == {"audience": "team", "methods": ["email"], "remember_device": True}


@pytest.mark.parametrize("mfa", ["", "email"])
def test_d9_d10_tn07_on_and_off_need_a_fresh_code_and_lose_nothing(service: Service, mfa: str) -> None:
    """S2 with a code, however long ago one was entered; then the form is as it was left."""
    account, chosen = service.account(mfa=mfa), "sms"
    person = admin(service, account)
    service.pass_time(minutes=16)
    page = choose(person, on=not mfa, methods=chosen, remember=False)
    assert page.h1 == "Confirm it’s you"
    assert "Enter your password to change Multi-Factor Authentication." in page.text
    assert page.links["Cancel"].startswith(SETTINGS)
    page = person.submit(password=PASSWORD)
    if page.h1 == "Choose how to get your code":
        page = person.submit(method="email")
    assert page.h1 == "Enter your code"
    page = person.submit(code=service.code_for(DANA))
    form = next(form for form in page.forms if "mfa" in form.boxes)
    assert (page.h1, "mfa" in form.fields) == ("Admin Settings", not mfa)
    assert "remember_device" not in form.fields
    assert "You have unsaved changes." in page.text
    assert switch(service, account).revision == 1
    page = send(person, on=not mfa, methods=chosen, remember=False)
    if mfa:
        page = person.submit()
    assert "Saved." in page.text
    stored = switch(service, account)
    assert (stored.enabled, stored.methods, stored.remember_device) == (not mfa, [chosen], False)


def test_tn07_another_site_a_get_and_an_override_change_nothing(service: Service) -> None:
    """LG-12, TN-07: a cross-site POST, an address, a method override."""
    account = service.account(mfa="email")
    person = admin(service, account)
    token = person.open(SETTINGS).forms[0].fields["csrf_token"]
    off = {"csrf_token": token, "revision": "1", "methods": "email"}
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert person.post(SETTINGS + "/turn-off", off, **headers).status_code in (400, 403)
    assert person.post(SETTINGS + "/turn-off", {**off, "csrf_token": "x"}).status_code == 400
    person.open(SETTINGS, draft="1", revision="1")
    person.open(SETTINGS + "/turn-off", draft="1", revision="1", _method="POST")
    assert person.client.put(SETTINGS, base_url=person.issuer, data=off).status_code == 404
    assert switch(service, account).enabled


def test_tn07_a_remembered_device_is_no_fresh_code(service: Service) -> None:
    """SR7: remembering never satisfies a step-up."""
    account = service.account(mfa="email")
    service.member(account, role="admin", sensitive=True)
    person = service.person()
    service.sign_in(person)
    person.submit(code=service.code_for(DANA), remember="1")
    person.open("/sign-out")
    person.submit(form=0)
    service.pass_time(minutes=16)
    service.sign_in(person)
    assert choose(person, on=True, methods="sms").h1 in ("Enter your code", "Confirm it’s you")
    assert switch(service, account).methods == ["email"]


def test_a_second_admin_is_told_and_nothing_is_overwritten(service: Service) -> None:
    """S20: "Marcus changed this at 4:30 PM. Check the settings below and save again."."""
    account = service.account()
    dana = admin(service, account)
    service.member(account, "marcus@northgate.example", role="admin", sensitive=True)
    marcus = signed_in(service, "marcus@northgate.example")
    dana.open(SETTINGS)
    choose(marcus, on=True, methods="email")
    page = send(dana, on=True, methods="sms", remember=False)
    assert page.status == 409
    assert "Marcus changed this at 4:32 PM EST. Check the settings below and save again." in page.text
    assert "What is saved now: On, by Email" in page.text
    assert switch(service, account).methods == ["email"]
    form = next(form for form in page.forms if "mfa" in form.boxes)
    assert form.fields["methods"] == "sms", "nothing typed is lost"
    assert "Saved." in send(dana, on=True, methods="sms", remember=False).text
    assert switch(service, account).methods == ["sms"]


def test_a_second_press_is_answered_like_the_first(service: Service) -> None:
    """Rule 3: no conflict with oneself, one mail, one row."""
    account = service.account()
    person = admin(service, account)
    form = next(form for form in person.open(SETTINGS).forms if "revision" in form.fields)
    data = {
        **{n: form.fields[n] for n in ("csrf_token", "revision")},
        "mfa": "1",
        "methods": "email",
        "remember_device": "1",
    }
    assert [person.post(SETTINGS, data).status_code for _ in range(2)] == [303, 303]
    assert len(service.events("mfa.turned_on")) == 1
    assert switch(service, account).revision == 2


def test_d6_d7_what_is_tightened_ends_remembered_devices(service: Service) -> None:
    """D6, D7: a method closed, or remembering forbidden; a method more does not."""
    account = service.account(mfa="email")
    person = admin(service, account)

    def epoch() -> int:
        with service.services.database.transaction(read_only=True) as tx:
            return tx.scalars(select(Membership.security_epoch)).one()

    choose(person, on=True, methods="email+sms")
    assert epoch() == 0
    choose(person, on=True, methods="email")
    assert epoch() == 1
    choose(person, on=True, methods="email", remember=False)
    assert epoch() == 2
    assert [event.fields["reason"] for event in service.events("device.all_ended")] == [
        "mfa_methods_tightened",
        "remembering_forbidden",
    ]


def test_tn02_the_account_is_the_sessions_whatever_the_form_says(service: Service) -> None:
    """CVE-2026-15630: the object that is changed is the one that was authorised."""
    account, other = service.account(), service.account("elsewhere", mfa="email")
    person = admin(service, account)
    theirs = service.member(other, "victim@elsewhere.example", verified=False)
    token = person.open(SETTINGS).forms[0].fields["csrf_token"]
    named = {"account": "elsewhere", "account_id": other.id, "audience": "investors"}
    person.post(SETTINGS + "?account=elsewhere", {**named, "csrf_token": token, "methods": "email", "revision": "1"})
    person.post(SETTINGS + "/turn-off", {**named, "csrf_token": token, "revision": "1"}, **{"X-Account": other.id})
    assert switch(service, other).enabled
    person.post(SETTINGS + "/remind", {**named, "csrf_token": token, "remind": theirs.id})
    service.deliver()
    assert service.emails.to("victim@elsewhere.example") == []
