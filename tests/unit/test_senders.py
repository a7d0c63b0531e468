"""Which message a sender touches at all, the folder that stands for sending, and the addresses of senders."""

from __future__ import annotations

import json
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from authsvc.errors import ConfigurationError
from authsvc.messaging.directory import DirectorySender
from authsvc.messaging.message import DELIVERED, Delivery, Message, Outcome
from authsvc.messaging.senders import sender_for
from authsvc.messaging.smtp import SmtpSender, SmtpServer, Tls

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
TEXT = replace(MAIL, channel="sms", to="+15125550142", subject="", html="", sender_name="")
# Had it tried to connect, the answer would be TRY_LATER (test_smtp_sender.py).
NOBODY_LISTENS = SmtpSender(SmtpServer("127.0.0.1", 1, Tls.NONE), email_from=FROM)


def test_a_log_line_shows_neither_address_nor_code() -> None:
    """MF-10, PL-04."""
    assert "dana" not in repr(MAIL)
    assert "481502" not in repr(MAIL)


def test_a_message_without_a_time_zone_is_refused_at_once() -> None:
    """A naive time would be sorted, and dated, hours away."""
    with pytest.raises(ValueError, match="timezone-aware"):
        replace(MAIL, created_at=datetime(2026, 11, 22))  # noqa: DTZ001 - the mistake under test


def test_the_directory_sender_writes_exactly_the_keys_of_the_contract(tmp_path: Path) -> None:
    """contract.md: one JSON file per message, those keys; only this user may read it, for it holds a code."""
    assert sender_for(f"dir:{tmp_path}/var/outbox", email_from=FROM).send(MAIL) == DELIVERED

    [file] = (tmp_path / "var" / "outbox").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text()) == {
        "channel": "email",
        "to": "dana@northgate.example",
        "subject": "481502 is your Northgate sign-in code",
        "text": MAIL.text,
        "html": MAIL.html,
        "purpose": "sign_in_code",
        "created_at": "2026-11-22T21:31:00.000000+00:00",
    }


def test_file_names_sort_by_time_and_then_by_order_of_sending(tmp_path: Path) -> None:
    """A reader takes the last name for the newest message, also when a test's clock stands still."""
    sender = DirectorySender(tmp_path)
    eastern = datetime.fromisoformat("2026-11-22T16:31:00-05:00")
    for number, at in enumerate([AT + timedelta(microseconds=1), AT, eastern, AT - timedelta(days=1), *[AT] * 6]):
        sender.send(replace(MAIL, text=str(number), created_at=at))

    texts = [json.loads(file.read_text())["text"] for file in sorted(tmp_path.glob("*.json"))]
    assert "".join(texts) == "3124567890"


def test_a_reader_sees_every_message_once_and_none_half_written(tmp_path: Path) -> None:
    """Fifty threads write while another reads: each file is whole from the moment it has its name."""
    sender = DirectorySender(tmp_path)
    is_over = threading.Event()
    seen: set[str] = set()

    def read() -> None:
        while not is_over.is_set():
            seen.update(json.loads(file.read_text())["text"] for file in tmp_path.glob("*.json"))

    start = threading.Barrier(50)

    def write(number: int) -> Delivery:
        start.wait(timeout=30)
        return sender.send(replace(MAIL, text=str(number), html="x" * 20_000))

    with ThreadPoolExecutor(51) as pool:
        reader = pool.submit(read)
        outcomes = list(pool.map(write, range(50)))
        is_over.set()
        reader.result(timeout=30)

    assert outcomes == [DELIVERED] * 50
    written = [json.loads(file.read_text())["text"] for file in tmp_path.iterdir()]
    assert sorted(map(int, written)) == list(range(50))
    assert seen <= set(written)


def test_a_folder_that_cannot_be_written_means_later(tmp_path: Path) -> None:
    """A full or missing disk is no verdict on the address, and leaves no part of a file."""
    (tmp_path / "file").write_text("in the way")

    delivery = DirectorySender(tmp_path / "file" / "outbox").send(MAIL)

    assert delivery == Delivery.try_later("the folder for messages cannot be written (NotADirectoryError)")


@pytest.mark.parametrize("tail", ["\r\nBcc: x@y.example", "\n", "\x00", "\u2028", "=?utf-8?q?=0A?="])
@pytest.mark.parametrize("place", ["to", "subject", "sender_name"])
def test_a_line_break_in_an_address_or_header_is_refused_before_connecting(
    place: str, tail: str, tmp_path: Path
) -> None:
    """RC-05, PL-06: also when it hides in an encoded word, which the mail library would decode and write out."""
    bad = replace(MAIL, **{place: getattr(MAIL, place) + tail})

    for sender in (NOBODY_LISTENS, DirectorySender(tmp_path)):
        assert sender.send(bad).outcome is Outcome.REFUSED
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "to",
    [
        "a@x.example,b@y.example",
        "a@x.example b@y.example",
        "Dana <a@x.example>",
        "<a@x.example>",
        "a@x.example>",
        '"a b"@x.example',
        "a@[127.0.0.1]",
        "a(b)@x.example",
        "@relay.example:a@x.example",
        "group:a@x.example;",
        "a..b@x.example",
        ".a@x.example",
        "a@x..example",
        "a@-x.example",
        "a@x.example.",
        "a@",
        "@x.example",
        "a",
        "",
        "dıana@x.example",
        "a@straße.example",
        "a@" + "x" * 300,
        "+15125550142",
    ],
)
def test_only_one_plain_address_is_written_to(to: str) -> None:
    """RC-05: what can be read as two addresses, or as another one, reaches nobody."""
    assert NOBODY_LISTENS.send(replace(MAIL, to=to)).outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    "to", ["5125550142", "+1512555014x", "+1 512 555 0142", "+1512555014２", "+0512555", "+", "a@x.example"]
)
def test_only_one_e164_number_is_texted(to: str, tmp_path: Path) -> None:
    """MF-25: E.164 first; nothing else reaches a provider."""
    assert DirectorySender(tmp_path).send(TEXT) == DELIVERED
    assert DirectorySender(tmp_path).send(replace(TEXT, to=to)).outcome is Outcome.REFUSED


def test_an_address_without_a_sender_refuses_every_text() -> None:
    """`none:` says so in one sentence that an operator understands."""
    assert sender_for("none:", email_from=FROM).send(TEXT) == Delivery.refused("no text message sender is configured")


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://127.0.0.1:2525", SmtpServer("127.0.0.1", 2525, Tls.NONE)),
        ("smtp://localhost:2525", SmtpServer("localhost", 2525, Tls.NONE)),
        ("smtp://[::1]:2525", SmtpServer("::1", 2525, Tls.NONE)),
        ("smtp://mail.example:587", SmtpServer("mail.example", 587, Tls.STARTTLS)),
        ("smtp://mail.example", SmtpServer("mail.example", 587, Tls.STARTTLS)),
        ("smtp://mail.example?tls=implicit", SmtpServer("mail.example", 465, Tls.IMPLICIT)),
        ("smtp://mail.example:25?tls=none", SmtpServer("mail.example", 25, Tls.NONE)),
        ("smtp://127.0.0.1:2525?tls=starttls", SmtpServer("127.0.0.1", 2525, Tls.STARTTLS)),
        ("smtp://u:p%40%3A%2F@mail.example:587", SmtpServer("mail.example", 587, Tls.STARTTLS, "u", "p@:/")),
    ],
)
def test_an_smtp_address_is_encrypted_unless_it_stays_on_this_machine(url: str, server: SmtpServer) -> None:
    """`tls` defaults to starttls, and to none on a loopback host."""
    assert SmtpServer.from_url(url) == server


@pytest.mark.parametrize(
    "url",
    [
        "",
        "dir:",
        "ftp://mail.example",
        "smtp:",
        "smtp://",
        "smtp://:25",
        "smtp://mail.example:0",
        "smtp://mail.example:99999",
        "smtp://mail.example:port",
        "smtp://mail.example/path",
        "smtp://mail.example?tls=maybe",
        "smtp://mail.example?tls",
        "smtp://mail.example?ssl=1",
        "smtp://u:hunter2-secret@mail.example?tls=none",
        "smtp://u:hunter2-secret@mail.example?tls=maybe",
        "smtp://u:hunter2-secret-ü@mail.example",
        "smtp://" + "x" * 70 + ".example",
        "smtp://[::1",
    ],
)
def test_a_wrong_address_stops_the_start_without_repeating_a_password(url: str) -> None:
    """A password to another machine in the clear is refused too."""
    with pytest.raises(ConfigurationError) as caught:
        sender_for(url, email_from=FROM)

    assert "hunter2" not in str(caught.value)


def test_a_wrong_sender_address_stops_the_start() -> None:
    """Every mail would fail; better to say it once."""
    with pytest.raises(ConfigurationError, match="AUTHSVC_EMAIL_FROM"):
        sender_for("smtp://127.0.0.1:2525", email_from="IMS <no-reply@ims.example>")


def test_the_settings_never_show_the_password() -> None:
    """PL-04."""
    assert "hunter2" not in repr(SmtpServer.from_url("smtp://u:hunter2@mail.example"))
