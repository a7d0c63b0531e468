"""Mail over SMTP, against a real mail server in this process and against servers that misbehave."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.policy import compat32
from email.utils import getaddresses
from pathlib import Path

import pytest
from aiosmtpd.smtp import Envelope
from hypothesis import example, given, settings
from hypothesis import strategies as st

from authsvc.messaging.message import DELIVERED, Delivery, Message, OnlyEmail, Outcome
from authsvc.messaging.render import render
from authsvc.messaging.senders import sender_for
from authsvc.messaging.smtp import SmtpSender, SmtpServer, Tls
from tests.support import mail_servers
from tests.support.mail_servers import Behaviour, Inbox, bare_server, certificate, mail_server, parsed, serving
from tests.support.processes import free_port

AT = datetime(2026, 11, 22, 21, 31, tzinfo=UTC)
FROM = "no-reply@ims.example"
MAIL = Message(
    channel="email",
    to="dana@northgate.example",
    purpose="sign_in_code",
    subject="481502 is your Northgate sign-in code",
    text="481502\n\n.a line that begins with a dot\n",
    html="<p>481502 Ωmega</p>\n",
    sender_name="Northgate Capital Partners, LLC via IMS",
    created_at=AT,
)


@pytest.fixture(scope="module")
def plain_server() -> Iterator[tuple[Inbox, int]]:
    with mail_server() as server:
        yield server


@pytest.fixture
def server(plain_server: tuple[Inbox, int]) -> tuple[Inbox, int]:
    inbox, _ = plain_server
    inbox.__init__()  # type: ignore[misc]  # emptied for each test
    return plain_server


def impatient(port: int, *, tls: Tls = Tls.NONE, answer_s: float = 0.3, total_s: float = 0.6) -> SmtpSender:
    return SmtpSender(
        SmtpServer("127.0.0.1", port, tls), email_from=FROM, answer_timeout_s=answer_s, total_timeout_s=total_s
    )


def assert_says_nothing_private(delivery: Delivery) -> None:
    for private in ("dana", "northgate", "gone", "greylisted", "481502", "@"):
        assert private not in delivery.reason


def test_a_mail_arrives_whole(server: tuple[Inbox, int]) -> None:
    """Envelope, headers and both bodies as they were given; RFC 3834's header keeps out-of-office answers away."""
    inbox, port = server
    assert sender_for(f"smtp://127.0.0.1:{port}", email_from=FROM).send(MAIL) == DELIVERED

    [envelope] = inbox.taken
    assert (envelope.mail_from, envelope.rcpt_tos) == (FROM, ["dana@northgate.example"])
    assert inbox.greeted_by == ["ims.example"]  # and not by this machine's name
    mail = inbox.mail()
    [sender] = mail["From"].addresses
    assert (sender.display_name, sender.addr_spec) == ("Northgate Capital Partners, LLC via IMS", FROM)
    assert mail["To"] == "dana@northgate.example"
    assert mail["Subject"] == "481502 is your Northgate sign-in code"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime == AT
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert [part.get_content().replace("\r\n", "\n") for part in mail.iter_parts()] == [MAIL.text, MAIL.html]


def test_a_second_try_carries_the_same_message_id(server: tuple[Inbox, int]) -> None:
    """So that a mail program shows one mail when our first try was taken and the answer was lost. It tells no code."""
    inbox, port = server
    sender = impatient(port)
    for message in (MAIL, replace(MAIL, subject="593013", text="593013"), replace(MAIL, to="lee@northgate.example")):
        sender.send(message)

    first, again, other = [parsed(envelope)["Message-ID"] for envelope in inbox.taken]
    assert first == again
    assert first != other
    assert first.endswith("@ims.example>")


@pytest.mark.parametrize(
    ("to", "outcome", "said"),
    [
        ("gone@northgate.example", Outcome.REFUSED, "the recipient (550 5.1.1)"),
        ("spam@northgate.example", Outcome.REFUSED, "the message (554 5.7.1)"),
        ("greylisted@northgate.example", Outcome.TRY_LATER, "the recipient (451 4.7.1)"),
        ("full@northgate.example", Outcome.TRY_LATER, "the message (452 4.3.1)"),
        ("closing@northgate.example", Outcome.TRY_LATER, "the recipient (421 4.3.2)"),
    ],
)
def test_the_servers_answer_decides_between_never_and_later(
    to: str, outcome: Outcome, said: str, server: tuple[Inbox, int]
) -> None:
    """RFC 5321, 4.2.1: 4yz may pass another time, 5yz will not. The server's words quote the address: left out."""
    inbox, port = server
    delivery = impatient(port).send(replace(MAIL, to=to))

    assert delivery.outcome is outcome
    assert said in delivery.reason
    assert_says_nothing_private(delivery)
    assert inbox.taken == []


def test_a_server_that_does_not_want_our_sender_is_no_verdict_on_the_person(server: tuple[Inbox, int]) -> None:
    """5xx to MAIL is for an operator to mend; the page must not say that the person's address is wrong."""
    _, port = server
    sender = SmtpSender(SmtpServer("127.0.0.1", port, Tls.NONE), email_from="unwelcome@ims.example")
    assert sender.send(MAIL) == Delivery.try_later("the mail server does not accept us (553 5.7.1)")


def test_a_closed_port_means_later() -> None:
    """Connection trouble is never the person's fault."""
    delivery = impatient(free_port()).send(MAIL)

    assert delivery == Delivery.try_later("the mail server cannot be reached or broke off (ConnectionRefusedError)")


@pytest.mark.parametrize(
    ("behave", "answer_s", "total_s"),
    [
        (mail_servers.silence, 0.3, 30),
        (mail_servers.silence, 30, 0),
        (mail_servers.drip, 30, 0.3),
        (mail_servers.nonsense, 30, 30),
        (mail_servers.hang_up, 30, 30),
        (mail_servers.not_now, 30, 30),
        (mail_servers.cut_after_data, 30, 30),
    ],
)
def test_a_misbehaving_server_holds_the_worker_for_a_bounded_time(
    behave: Behaviour, answer_s: float, total_s: float
) -> None:
    """security.md 4.4, P7: silence, a drip, a cut: later, and soon. Shorter limits here than in service."""
    with bare_server(behave) as port:
        started = time.monotonic()
        delivery = impatient(port, answer_s=answer_s, total_s=total_s).send(MAIL)
        took = time.monotonic() - started

    assert delivery.outcome is Outcome.TRY_LATER
    assert_says_nothing_private(delivery)
    assert took < 10  # far below 30 s, far above 0.3 s: the machine may be busy


def test_a_handshake_that_never_ends_is_bounded_too() -> None:
    """TLS from the start begins before any mail command; its wait counts."""
    with bare_server(mail_servers.silence) as port:
        assert impatient(port, tls=Tls.IMPLICIT, answer_s=30, total_s=0.3).send(MAIL).outcome is Outcome.TRY_LATER


def test_a_server_that_lets_nobody_in_means_later() -> None:
    """A black hole: packets to it get no answer at all. Here, a listener whose queue is full."""
    with socket.socket() as listener, ExitStack() as queue:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = queue.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        server = SmtpServer("127.0.0.1", listener.getsockname()[1], Tls.NONE)
        delivery = SmtpSender(server, email_from=FROM, connect_timeout_s=0.3).send(MAIL)

    assert delivery == Delivery.try_later("the mail server cannot be reached or broke off (TimeoutError)")


def test_the_next_address_of_the_server_is_tried(server: tuple[Inbox, int]) -> None:
    """`localhost` is ::1 as well on many machines, and this server listens on 127.0.0.1 only."""
    _, port = server
    assert sender_for(f"smtp://localhost:{port}", email_from=FROM).send(MAIL) == DELIVERED


def test_a_mail_that_was_taken_is_delivered_whatever_follows() -> None:
    """A lost farewell must not send the same mail again."""
    with bare_server(mail_servers.no_farewell) as port:
        assert impatient(port).send(MAIL) == DELIVERED


def test_text_messages_do_not_go_by_mail() -> None:
    """A mistake in wiring is an exception, not a refusal."""
    with pytest.raises(OnlyEmail):
        impatient(free_port()).send(replace(MAIL, channel="sms", to="+15125550142"))


def name_of(envelope: Envelope) -> str:
    """The sender's display name, by the library's older reader: the newer one adds spaces (against RFC 2047, 6.2)."""
    assert isinstance(envelope.content, bytes)
    raw = message_from_bytes(envelope.content, policy=compat32)["From"]
    [(name, _)] = getaddresses([str(raw).replace("\r\n", "")])
    return str(make_header(decode_header(name)))


def letters(line: str) -> str:
    """`line` without spaces: the library loses one where it breaks a long name at it."""
    return "".join(line.split())


names = st.text(st.one_of(st.sampled_from("ab ,.;:<>@\"'\\()[]=?é Ω…"), st.characters()), max_size=220)


@settings(deadline=None, max_examples=40)
@given(account=names)
@example(account='a", ' * 15 + "b")  # quoted, it is longer than a line, and the folding loses its quotes
@example(account="a, " * 60)
@example(account="é, <ceo@bank.example>, " * 12)
@example(account="=?utf-8?q?foo=0D=0ABcc:_thief@evil.example?=")
@example(account="==??utf-8?q?foo=0ABcc:_x@y?=")
@example(account="Ω" * 200)
def test_no_account_name_adds_a_header_or_a_sender(plain_server: tuple[Inbox, int], account: str) -> None:
    """RC-05, PL-06, end to end: what the server receives has our headers, one sender, one recipient, one subject."""
    inbox, port = plain_server
    inbox.taken.clear()
    values = {"works_until": "4:41 PM EST", "asked_at": "Nov 22, 4:31 PM EST", "browser": "Chrome on macOS"}
    hosts = {"portal_host": "portal.northgate.example", "support_email": "support@imscre.com"}
    words = render(
        "sign_in_code", "email", account_name=account, account_short=account, code="481502", **values, **hosts
    )
    message = replace(MAIL, subject=words.subject, text=words.text, html=words.html, sender_name=words.sender_name)

    assert impatient(port, answer_s=5, total_s=10).send(message) == DELIVERED
    mail = inbox.mail()
    assert sorted(mail.keys()) == [
        "Auto-Submitted",
        "Content-Type",
        "Date",
        "From",
        "MIME-Version",
        "Message-ID",
        "Subject",
        "To",
    ]
    [sender] = mail["From"].addresses
    assert sender.addr_spec == FROM
    [envelope] = inbox.taken
    assert letters(name_of(envelope)) == letters(words.sender_name)
    assert letters(mail["Subject"]) == letters(words.subject)
    assert envelope.rcpt_tos == ["dana@northgate.example"]
    assert isinstance(envelope.content, bytes)
    assert all(len(line) <= 998 for line in envelope.content.split(b"\r\n"))


@pytest.mark.parametrize("user", ["", "user:secret@"])
def test_demanded_encryption_is_never_given_up(user: str, server: tuple[Inbox, int]) -> None:
    """A server (or whoever sits before it) that does not offer STARTTLS gets no mail and no password."""
    inbox, port = server
    delivery = sender_for(f"smtp://{user}127.0.0.1:{port}?tls=starttls", email_from=FROM).send(MAIL)

    assert delivery.outcome is Outcome.TRY_LATER
    assert "does not offer the encryption" in delivery.reason
    assert inbox.taken == []
    assert inbox.logins == []


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.IMPLICIT])
def test_mail_and_password_travel_encrypted(tls: Tls, tmp_path: Path) -> None:
    """The usual way to a provider: TLS, then the user and the password of the address."""
    public, private = certificate(tmp_path, host="127.0.0.1")
    option = {"tls_context" if tls is Tls.STARTTLS else "ssl_context": serving(public, private)}
    with mail_server(**option) as (inbox, port):
        address = SmtpServer.from_url(f"smtp://user:p%40ss%3Aword%2F1@127.0.0.1:{port}?tls={tls}")
        trusting = ssl.create_default_context(cafile=str(public))
        if tls is Tls.IMPLICIT:  # aiosmtpd offers sign-in after STARTTLS only
            address = replace(address, user="", password="")
        delivery = SmtpSender(address, email_from=FROM, tls_context=trusting).send(MAIL)

        assert delivery == DELIVERED
        assert len(inbox.taken) == 1
        assert tls is Tls.IMPLICIT or inbox.tls_of == [True]  # the other server understands nothing but TLS
        assert [data.login for data in inbox.logins] == ([b"user"] if address.user else [])


def test_a_wrong_password_of_ours_means_later(tmp_path: Path) -> None:
    """535 to AUTH is for an operator; the reason says the number and not the password."""
    public, private = certificate(tmp_path, host="127.0.0.1")
    with mail_server(tls_context=serving(public, private)) as (inbox, port):
        address = SmtpServer.from_url(f"smtp://user:wrong-secret@127.0.0.1:{port}?tls=starttls")
        trusting = ssl.create_default_context(cafile=str(public))
        delivery = SmtpSender(address, email_from=FROM, tls_context=trusting).send(MAIL)

        assert delivery == Delivery.try_later("the mail server does not accept us (535 5.7.8)")
        assert inbox.taken == []


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.IMPLICIT])
@pytest.mark.parametrize("flaw", ["unknown authority", "other name"])
def test_a_certificate_that_proves_nothing_gets_no_mail(tls: Tls, flaw: str, tmp_path: Path) -> None:
    """Encryption to whoever answers is no encryption."""
    public, private = certificate(tmp_path, host="127.0.0.1" if flaw == "unknown authority" else "127.0.0.2")
    trusting = ssl.create_default_context(cafile=None if flaw == "unknown authority" else str(public))
    option = {"tls_context" if tls is Tls.STARTTLS else "ssl_context": serving(public, private)}
    if tls is Tls.STARTTLS:
        with mail_server(**option) as (inbox, port):
            delivery = SmtpSender(SmtpServer("127.0.0.1", port, tls), email_from=FROM, tls_context=trusting).send(MAIL)
            assert inbox.taken == []
    else:

        def handshake(connection: socket.socket, is_over: threading.Event) -> None:
            with serving(public, private).wrap_socket(connection, server_side=True) as encrypted:
                encrypted.sendall(b"220 ready\r\n")
                is_over.wait(30)

        with bare_server(handshake) as port:
            delivery = SmtpSender(SmtpServer("127.0.0.1", port, tls), email_from=FROM, tls_context=trusting).send(MAIL)
    assert delivery == Delivery.try_later("the mail server cannot be reached or broke off (SSLCertVerificationError)")
