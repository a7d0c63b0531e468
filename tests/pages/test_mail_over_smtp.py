"""A code by mail the whole way: page, job, worker, a real mail server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from authsvc.messaging.senders import sender_for
from tests.support.service import DANA, Service
from tests.support.smtp import SmtpSink


@pytest.fixture
def mailing(service: Service, smtp_sink: SmtpSink) -> Iterator[Service]:
    """The service, whose mail goes to the sink."""
    senders: dict[str, Any] = service.services.courier.senders  # type: ignore[assignment]
    senders["email"] = sender_for(smtp_sink.url, email_from="no-reply@ims.test")
    yield service
    senders["email"] = service.emails


def test_the_code_arrives_and_signs_in(mailing: Service, smtp_sink: SmtpSink) -> None:
    """Subject and body hold the code; the person types it and is in."""
    service = mailing
    service.member(service.account(mfa="email"))
    dana = service.person()
    service.sign_in(dana)
    assert service.deliver() == 1
    letter = smtp_sink.wait_for(DANA)
    assert letter["From"] == '"Northgate Capital Partners via IMS" <no-reply@ims.test>'.replace('"', "")
    code = re.match(r"(\d{6}) is your Northgate sign-in code", letter["Subject"])
    assert code
    dana.submit(code=code[1])
    assert dana.here.h1 == "You’re signed in"


def test_a_refusing_mail_server_is_said_on_the_page(mailing: Service, smtp_sink: SmtpSink) -> None:
    """Success is never claimed for refused mail (security.md 4.4); the trail says why."""
    service = mailing
    service.member(service.account(mfa="email+sms"))
    dana = service.person()
    service.sign_in(dana)
    dana.submit(method="email")
    smtp_sink.answer = "550 no such mailbox"
    service.deliver()
    dana.open(dana.here.path)
    assert "Our email came back." in dana.here.text
    assert dana.here.has_button("Get it by text message")
    assert service.events("code.not_delivered")[0].fields["channel"] == "email"


def test_a_mail_server_that_is_away_is_tried_again(mailing: Service, smtp_sink: SmtpSink) -> None:
    """The same code arrives later, once."""
    service = mailing
    service.member(service.account(mfa="email"))
    dana = service.person()
    service.sign_in(dana)
    smtp_sink.answer = "451 later"
    service.deliver()
    assert smtp_sink.messages == []
    smtp_sink.answer = "250 OK"
    service.pass_time(seconds=5)
    assert service.deliver() == 1
    assert len(smtp_sink.messages) == 1
    service.pass_time(minutes=1)
    assert service.deliver() == 0


def test_a_code_that_was_replaced_is_not_sent_any_more(mailing: Service, smtp_sink: SmtpSink) -> None:
    """Two different live codes never (security.md 4.4)."""
    service = mailing
    service.member(service.account(mfa="email"))
    dana = service.person()
    service.sign_in(dana)
    service.pass_time(seconds=31)
    dana.submit(button="resend")
    service.deliver()
    assert len(smtp_sink.messages) == 1
